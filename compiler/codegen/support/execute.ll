; One inference: check the call, then run the steps of a program in order.

; base address of an argument plus its offset
define internal ptr @resolve(ptr %argument, ptr %program, ptr %inputs, ptr %outputs,
                             ptr %workspace) {
entry:
  %kind = load i32, ptr %argument, align 8
  %index_at = getelementptr %argument, ptr %argument, i32 0, i32 1
  %index = load i32, ptr %index_at, align 4
  %offset_at = getelementptr %argument, ptr %argument, i32 0, i32 2
  %offset = load i64, ptr %offset_at, align 8
  switch i32 %kind, label %weights [ i32 0, label %input
                                     i32 1, label %output
                                     i32 2, label %scratch ]
input:
  %input_at = getelementptr ptr, ptr %inputs, i32 %index
  %given = load ptr, ptr %input_at, align 8
  br label %add
output:
  %output_at = getelementptr ptr, ptr %outputs, i32 %index
  %result = load ptr, ptr %output_at, align 8
  br label %add
scratch:
  br label %add
weights:
  %blob_at = getelementptr %program, ptr %program, i32 0, i32 5
  %blob = load ptr, ptr %blob_at, align 8
  br label %add
add:
  %base = phi ptr [ %given, %input ], [ %result, %output ], [ %workspace, %scratch ],
                  [ %blob, %weights ]
  %address = getelementptr i8, ptr %base, i64 %offset
  ret ptr %address
}

; Resolve all arguments of a step into %buffers.
define internal void @resolve_all(ptr %step, ptr %buffers, ptr %program, ptr %inputs, ptr %outputs,
                                  ptr %workspace) {
entry:
  %arguments_at = getelementptr %step, ptr %step, i32 0, i32 1
  %arguments = load ptr, ptr %arguments_at, align 8
  %count_at = getelementptr %step, ptr %step, i32 0, i32 2
  %count = load i64, ptr %count_at, align 8
  br label %check
check:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %argument = getelementptr %argument, ptr %arguments, i64 %i
  %address = call ptr @resolve(ptr %argument, ptr %program, ptr %inputs, ptr %outputs,
                               ptr %workspace)
  %slot = getelementptr ptr, ptr %buffers, i64 %i
  store ptr %address, ptr %slot, align 8
  %i.next = add i64 %i, 1
  br label %check
done:
  ret void
}

; Run all units of a step on up to `granted` threads; fill `record` unless it is null.
define internal void @run_step(ptr %step, ptr %buffers, i64 %granted, ptr %record) {
entry:
  %kernel = load ptr, ptr %step, align 8
  %units_at = getelementptr %step, ptr %step, i32 0, i32 3
  %units = load i64, ptr %units_at, align 8
  %useful_at = getelementptr %step, ptr %step, i32 0, i32 4
  %useful = load i64, ptr %useful_at, align 8
  %bounded.0 = call i64 @llvm.smin.i64(i64 %useful, i64 %units)
  %bounded.1 = call i64 @llvm.smin.i64(i64 %bounded.0, i64 %granted)
  %threads = call i64 @llvm.smax.i64(i64 %bounded.1, i64 1)
  %parallel = icmp sgt i64 %threads, 1
  %timed = icmp ne ptr %record, null
  br i1 %timed, label %open, label %start
open:
  %begin_ns = call i64 @now()
  store i64 %begin_ns, ptr %record, align 8
  br label %start
start:
  br i1 %parallel, label %fork, label %alone
alone:
  call void %kernel(ptr %buffers, i64 0, i64 %units)
  br label %finish
fork:
  store ptr %kernel, ptr @job, align 8
  store ptr %buffers, ptr getelementptr (%job, ptr @job, i32 0, i32 1), align 8
  store i64 %units, ptr getelementptr (%job, ptr @job, i32 0, i32 2), align 8
  store i64 %threads, ptr getelementptr (%job, ptr @job, i32 0, i32 3), align 8
  %timed.i32 = zext i1 %timed to i32
  store i32 %timed.i32, ptr getelementptr (%job, ptr @job, i32 0, i32 4), align 8
  store i64 0, ptr getelementptr (%job, ptr @job, i32 0, i32 5), align 8
  call void @fork_join(i64 %threads)
  br label %finish
finish:
  br i1 %timed, label %close, label %done
close:
  %end_ns = call i64 @now()
  %end_at = getelementptr %record, ptr %record, i32 0, i32 1
  store i64 %end_ns, ptr %end_at, align 8
  %start_ns = load i64, ptr %record, align 8
  %elapsed = sub i64 %end_ns, %start_ns
  %summed = load i64, ptr getelementptr (%job, ptr @job, i32 0, i32 5), align 8
  %busy = select i1 %parallel, i64 %summed, i64 %elapsed
  %busy_at = getelementptr %record, ptr %record, i32 0, i32 2
  store i64 %busy, ptr %busy_at, align 8
  %threads_at = getelementptr %record, ptr %record, i32 0, i32 3
  store i64 %threads, ptr %threads_at, align 8
  br label %done
done:
  ret void
}

; %records is null or points at one %record per step.  At most 64 arguments per step (tables.py).
define internal void @run_steps(ptr %program, ptr %inputs, ptr %outputs, ptr %workspace,
                                i64 %granted, ptr %records) {
entry:
  %buffers = alloca [64 x ptr], align 16
  %steps_at = getelementptr %program, ptr %program, i32 0, i32 2
  %steps = load ptr, ptr %steps_at, align 8
  %count_at = getelementptr %program, ptr %program, i32 0, i32 3
  %count = load i64, ptr %count_at, align 8
  %timed = icmp ne ptr %records, null
  br label %check
check:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %step = getelementptr %step, ptr %steps, i64 %i
  call void @resolve_all(ptr %step, ptr %buffers, ptr %program, ptr %inputs, ptr %outputs,
                         ptr %workspace)
  %record_at = getelementptr %record, ptr %records, i64 %i
  %record = select i1 %timed, ptr %record_at, ptr null
  call void @run_step(ptr %step, ptr %buffers, i64 %granted, ptr %record)
  %i.next = add i64 %i, 1
  br label %check
done:
  ret void
}

; whether a table of `count` pointers exists and holds no null
define internal i1 @complete(ptr %table, i32 %count) {
entry:
  %absent = icmp eq ptr %table, null
  br i1 %absent, label %no, label %check
check:
  %i = phi i32 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i32 %i, %count
  br i1 %more, label %body, label %yes
body:
  %slot = getelementptr ptr, ptr %table, i32 %i
  %pointer = load ptr, ptr %slot, align 8
  %null = icmp eq ptr %pointer, null
  %i.next = add i32 %i, 1
  br i1 %null, label %no, label %check
yes:
  ret i1 true
no:
  ret i1 false
}

; 0 or the error code of a call's arguments
define internal i32 @check_call(ptr %program, ptr %inputs, ptr %outputs, ptr %workspace,
                                i32 %threads) {
entry:
  %input_count = load i32, ptr @lpc.input_count, align 4
  %inputs_fine = call i1 @complete(ptr %inputs, i32 %input_count)
  %output_count = load i32, ptr @lpc.output_count, align 4
  %outputs_fine = call i1 @complete(ptr %outputs, i32 %output_count)
  %size_at = getelementptr %program, ptr %program, i32 0, i32 4
  %size = load i64, ptr %size_at, align 8
  %no_workspace = icmp eq ptr %workspace, null
  %needs_workspace = icmp ne i64 %size, 0
  %missing = and i1 %no_workspace, %needs_workspace
  %tables_fine = and i1 %inputs_fine, %outputs_fine
  %workspace_fine = xor i1 %missing, true
  %all_given = and i1 %tables_fine, %workspace_fine
  br i1 %all_given, label %align_check, label %null_pointer
align_check:
  %address = ptrtoint ptr %workspace to i64
  %low = and i64 %address, 63
  %aligned = icmp eq i64 %low, 0
  br i1 %aligned, label %threads_check, label %misaligned
threads_check:
  %positive = icmp sgt i32 %threads, 0
  %status = select i1 %positive, i32 0, i32 -3
  ret i32 %status
misaligned:
  ret i32 -2
null_pointer:
  ret i32 -1
}

; Run a program under the default floating-point environment, whatever the caller has set (flushed
; denormals, another rounding mode): the same model and input give the same bits.
define hidden i32 @lpc.execute(ptr %program, ptr %inputs, ptr %outputs, ptr %workspace,
                               i32 %threads, ptr %records) {
entry:
  %mxcsr = alloca i32, align 4
  %status = call i32 @check_call(ptr %program, ptr %inputs, ptr %outputs, ptr %workspace,
                                 i32 %threads)
  %fine = icmp eq i32 %status, 0
  br i1 %fine, label %choose, label %refuse
refuse:
  ret i32 %status
choose:
  %parallel = icmp sgt i32 %threads, 1
  br i1 %parallel, label %acquire, label %run
acquire:
  %share = call i32 @pool_acquire(i32 %threads)
  br label %run
run:
  %granted = phi i32 [ 1, %choose ], [ %share, %acquire ]
  %granted.i64 = zext i32 %granted to i64
  call void @llvm.x86.sse.stmxcsr(ptr %mxcsr)
  call void @llvm.x86.sse.ldmxcsr(ptr @default_mxcsr)
  call void @run_steps(ptr %program, ptr %inputs, ptr %outputs, ptr %workspace, i64 %granted.i64,
                       ptr %records)
  call void @llvm.x86.sse.ldmxcsr(ptr %mxcsr)
  %held = icmp sgt i32 %granted, 1
  br i1 %held, label %release, label %done
release:
  call void @pool_release()
  br label %done
done:
  ret i32 0
}
