; Support code of every lpc library: data structures and the outside world.
;
; tables.py concatenates the files of this folder into one LLVM module, which is compiled once; the
; tables of a model are a second module, which starts with this file too.  Names that the two share
; begin with `lpc.` and are hidden.
;
; The code is compiled for baseline x86-64, so that it runs (and can refuse to run a model)
; anywhere. With one thread an inference executes no system call, no libc call and touches no
; thread-local storage: an emulator may run it.

target triple = "x86_64-unknown-linux-gnu"

; Address of a kernel operand: kind (0 input, 1 output, 2 workspace, 3 weights), index, byte offset.
%argument = type { i32, i32, i64 }

; One kernel call: kernel, arguments, number of arguments, units, largest useful thread count.
%step = type { ptr, ptr, i64, i64, i64 }

; One target: name, needed bits of @cpu_features, steps, number of steps, workspace bytes, weights.
%program = type { ptr, i64, ptr, i64, i64, ptr }

; What lpc_profile reports for a step (lpc_step_record of lpc.h): start, end, summed busy time of
; all threads, in nanoseconds of the monotonic clock; number of threads.
%record = type { i64, i64, i64, i64 }

; Error codes of lpc.h:
;    0 fine                       -1 null pointer          -2 workspace not 64-byte aligned
;   -3 thread count below one     -4 no such target        -5 this CPU cannot run the target
;   -6 no target of lpc has the name
