; The exported functions of lpc.h, version 1 of the ABI.  (tables.py adds lpc_run_<target>, and
; @target_names ([n x ptr]) and @target_name_count (i32): all that targets.py has.)

@environment_name = internal constant [11 x i8] c"LPC_TARGET\00"

@message_fine = internal constant [9 x i8] c"no error\00"
@message_null = internal constant [46 x i8] c"an input, output or workspace pointer is null\00"
@message_misaligned = internal constant [37 x i8] c"the workspace is not 64-byte aligned\00"
@message_threads = internal constant [34 x i8] c"the thread count is less than one\00"
@message_target = internal constant [31 x i8] c"the library has no such target\00"
@message_cpu = internal constant [52 x i8] c"this CPU or operating system lacks the target's ISA\00"
@message_name = internal constant [25 x i8] c"lpc knows no such target\00"
@message_unknown = internal constant [19 x i8] c"unknown error code\00"

define i32 @lpc_abi_version() {
  ret i32 1
}

define ptr @lpc_metadata() {
  ret ptr @lpc.metadata
}

define ptr @lpc_error_message(i32 %code) {
  switch i32 %code, label %unknown [ i32 0, label %fine
                                     i32 -1, label %null
                                     i32 -2, label %misaligned
                                     i32 -3, label %threads
                                     i32 -4, label %target
                                     i32 -5, label %cpu
                                     i32 -6, label %name ]
fine:
  ret ptr @message_fine
null:
  ret ptr @message_null
misaligned:
  ret ptr @message_misaligned
threads:
  ret ptr @message_threads
target:
  ret ptr @message_target
cpu:
  ret ptr @message_cpu
name:
  ret ptr @message_name
unknown:
  ret ptr @message_unknown
}

; program of a target index, or null
define internal ptr @program_at(i32 %target) {
  %count = load i32, ptr @lpc.program_count, align 4
  %exists = icmp ult i32 %target, %count
  br i1 %exists, label %found, label %none
found:
  %slot = getelementptr ptr, ptr @lpc.programs, i32 %target
  %program = load ptr, ptr %slot, align 8
  ret ptr %program
none:
  ret ptr null
}

define i32 @lpc_target_count() {
  %count = load i32, ptr @lpc.program_count, align 4
  ret i32 %count
}

define ptr @lpc_target_name(i32 %target) {
  %program = call ptr @program_at(i32 %target)
  %absent = icmp eq ptr %program, null
  br i1 %absent, label %none, label %found
found:
  %name = load ptr, ptr %program, align 8
  ret ptr %name
none:
  ret ptr null
}

define i64 @lpc_workspace_size(i32 %target) {
  %program = call ptr @program_at(i32 %target)
  %absent = icmp eq ptr %program, null
  br i1 %absent, label %none, label %found
found:
  %size_at = getelementptr %program, ptr %program, i32 0, i32 4
  %size = load i64, ptr %size_at, align 8
  ret i64 %size
none:
  ret i64 -4
}

define i64 @lpc_step_count(i32 %target) {
  %program = call ptr @program_at(i32 %target)
  %absent = icmp eq ptr %program, null
  br i1 %absent, label %none, label %found
found:
  %count_at = getelementptr %program, ptr %program, i32 0, i32 3
  %count = load i64, ptr %count_at, align 8
  ret i64 %count
none:
  ret i64 -4
}

define i32 @lpc_input_count() {
  %count = load i32, ptr @lpc.input_count, align 4
  ret i32 %count
}

define i32 @lpc_output_count() {
  %count = load i32, ptr @lpc.output_count, align 4
  ret i32 %count
}

; element `index` of a table of sizes, or -1 when there is none
define internal i64 @size_at(ptr %sizes, i32 %index, i32 %count) {
  %exists = icmp ult i32 %index, %count
  br i1 %exists, label %found, label %none
found:
  %slot = getelementptr i64, ptr %sizes, i32 %index
  %size = load i64, ptr %slot, align 8
  ret i64 %size
none:
  ret i64 -1
}

define i64 @lpc_input_bytes(i32 %index) {
  %count = load i32, ptr @lpc.input_count, align 4
  %size = call i64 @size_at(ptr @lpc.input_bytes, i32 %index, i32 %count)
  ret i64 %size
}

define i64 @lpc_output_bytes(i32 %index) {
  %count = load i32, ptr @lpc.output_count, align 4
  %size = call i64 @size_at(ptr @lpc.output_bytes, i32 %index, i32 %count)
  ret i64 %size
}

; -5 when this CPU cannot run the program, else `answer`
define internal i32 @if_supported(ptr %program, i32 %answer) {
  %supported = call i1 @cpu_supports(ptr %program)
  %result = select i1 %supported, i32 %answer, i32 -5
  ret i32 %result
}

; the last (preferred) target that this CPU supports
define internal i32 @select_best() {
entry:
  %count = load i32, ptr @lpc.program_count, align 4
  br label %check
check:
  %i = phi i32 [ %count, %entry ], [ %candidate, %body ]
  %more = icmp sgt i32 %i, 0
  br i1 %more, label %body, label %none
body:
  %candidate = sub i32 %i, 1
  %program = call ptr @program_at(i32 %candidate)
  %supported = call i1 @cpu_supports(ptr %program)
  br i1 %supported, label %found, label %check
found:
  ret i32 %candidate
none:
  ret i32 -5
}

define internal i32 @select_named(ptr %name) {
entry:
  %count = load i32, ptr @lpc.program_count, align 4
  br label %check
check:
  %i = phi i32 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i32 %i, %count
  br i1 %more, label %body, label %none
body:
  %program = call ptr @program_at(i32 %i)
  %candidate = load ptr, ptr %program, align 8
  %order = call i32 @strcmp(ptr %candidate, ptr %name)
  %equal = icmp eq i32 %order, 0
  %i.next = add i32 %i, 1
  br i1 %equal, label %found, label %check
found:
  %result = call i32 @if_supported(ptr %program, i32 %i)
  ret i32 %result
none:
  %absent = call i32 @why_absent(ptr %name)
  ret i32 %absent
}

; -4 for the name of a target that the library lacks, -6 for any other text
define internal i32 @why_absent(ptr %name) {
entry:
  %count = load i32, ptr @target_name_count, align 4
  br label %check
check:
  %i = phi i32 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i32 %i, %count
  br i1 %more, label %body, label %unknown
body:
  %slot = getelementptr ptr, ptr @target_names, i32 %i
  %candidate = load ptr, ptr %slot, align 8
  %order = call i32 @strcmp(ptr %candidate, ptr %name)
  %equal = icmp eq i32 %order, 0
  %i.next = add i32 %i, 1
  br i1 %equal, label %known, label %check
known:
  ret i32 -4
unknown:
  ret i32 -6
}

; A null name asks for LPC_TARGET, and for the best target where that is unset or empty.
define i32 @lpc_select(ptr %name) {
entry:
  %given = icmp ne ptr %name, null
  br i1 %given, label %named, label %environment
environment:
  %value = call ptr @getenv(ptr @environment_name)
  %unset = icmp eq ptr %value, null
  br i1 %unset, label %best, label %look
look:
  %first = load i8, ptr %value, align 1
  %empty = icmp eq i8 %first, 0
  br i1 %empty, label %best, label %named
best:
  %strongest = call i32 @select_best()
  ret i32 %strongest
named:
  %wanted = phi ptr [ %name, %entry ], [ %value, %look ]
  %chosen = call i32 @select_named(ptr %wanted)
  ret i32 %chosen
}

define i32 @lpc_run(i32 %target, ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads) {
  %status = call i32 @lpc_profile(i32 %target, ptr %inputs, ptr %outputs, ptr %workspace,
                                  i32 %threads, ptr null)
  ret i32 %status
}

; With null records this is lpc_run.
define i32 @lpc_profile(i32 %target, ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads,
                        ptr %records) {
  %program = call ptr @program_at(i32 %target)
  %absent = icmp eq ptr %program, null
  br i1 %absent, label %unknown, label %check
check:
  %status = call i32 @if_supported(ptr %program, i32 0)
  %supported = icmp eq i32 %status, 0
  br i1 %supported, label %run, label %refuse
run:
  %result = call i32 @lpc.execute(ptr %program, ptr %inputs, ptr %outputs, ptr %workspace,
                                  i32 %threads, ptr %records)
  ret i32 %result
refuse:
  ret i32 %status
unknown:
  ret i32 -4
}
