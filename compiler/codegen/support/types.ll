; Support code of every lpc library: data structures and the outside world.
;
; library.py concatenates the files of this folder and the tables it generates into one LLVM module.
; The code is compiled for baseline x86-64, so that it runs (and can refuse to run a model) anywhere.
; With one thread an inference executes no system call, no libc call and touches no thread-local
; storage: an emulator may run it.

target triple = "x86_64-unknown-linux-gnu"

; Address of a kernel operand: kind (0 input, 1 output, 2 workspace, 3 weights), index, byte offset.
%argument = type { i32, i32, i64 }

; One kernel call: kernel, arguments, number of arguments, units, largest useful thread count.
%step = type { ptr, ptr, i64, i64, i64 }

; One target: name, needed bits of @cpu_features, steps, number of steps, workspace bytes, weights.
%program = type { ptr, i64, ptr, i64, i64, ptr }

; What lpc_profile reports for a step (lpc_step_record of lpc.h): start, end, summed busy time of all
; threads, in nanoseconds of the monotonic clock; number of threads.
%record = type { i64, i64, i64, i64 }

; Error codes of lpc.h:
;    0 fine                       -1 null pointer          -2 workspace not 64-byte aligned
;   -3 thread count below one     -4 no such target        -5 this CPU cannot run the target

declare i32 @getpid()
declare ptr @getenv(ptr)
declare i32 @strcmp(ptr, ptr)
declare i32 @clock_gettime(i32, ptr)
declare i64 @syscall(i64, ...)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)

declare i64 @llvm.readcyclecounter()
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i32 @llvm.smin.i32(i32, i32)
