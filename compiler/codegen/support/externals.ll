; What the support code uses and does not define: the tables of the model, libc, LLVM's intrinsics.
; References to tables go through the global offset table: objects that LLVM loads into a process may
; lie further apart than 2 GiB. (In a library the tables are hidden, and ld makes them direct.)
; A libc function that is added here must be added to LIBC_FUNCTIONS of linker.py too.

; programs, least demanding target first; their number
@lpc.programs = external constant [0 x ptr]
@lpc.program_count = external constant i32

; JSON text, zero-terminated
@lpc.metadata = external constant [0 x i8]

; number and sizes of the model's inputs and outputs
@lpc.input_count = external constant i32
@lpc.output_count = external constant i32
@lpc.input_bytes = external constant [0 x i64]
@lpc.output_bytes = external constant [0 x i64]

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
