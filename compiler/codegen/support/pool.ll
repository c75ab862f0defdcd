; Fork-join thread pool, one per library, created at the first run that asks for more than one
; thread.
;
; The caller of a run is thread 0 and the workers are threads 1, 2, ... A worker watches the
; `ticket` of its own slot: the leader fills @job, sets @pending to the number of workers it
; needs, increments their tickets, computes its own share and what others have left of theirs, and
; waits until @pending is zero. Only workers that take part in a region read @job, so the leader may
; refill it as soon as @pending is zero.
;
; Both sides spin for a while (@spin_cycles) before they sleep on a futex. Neither can miss a
; wake-up: the sleeper announces itself and then looks at the watched word again, the waker
; changes the word and then looks for the announcement, all sequentially consistent.
;
; @pool_owner is 0 or the process id of the run that holds the pool; a second concurrent run does
; not wait, it runs alone. After fork() the child's process id differs from @pool_process: the
; workers exist only in the parent, and the child starts its own. Libraries are linked with -z
; nodelete, so that sleeping workers never lose their code to dlclose().

; ticket, asleep; 128 bytes, so that no two workers share a cache line (or a prefetched pair of
; them)
%worker = type { i32, i32, [120 x i8] }

; kernel, buffers, units, participating threads, whether to time the shares, busy nanoseconds
%job = type { ptr, ptr, i64, i64, i32, i64 }

; pieces that are left of a thread's share: begin and, in the upper half, end; padded as %worker
%range = type { i64, [120 x i8] }

@workers = internal global [255 x %worker] zeroinitializer, align 128
@job = internal global %job zeroinitializer, align 128
@ranges = internal global [256 x %range] zeroinitializer, align 128
@pending = internal global i32 0, align 128
@leader_asleep = internal global i32 0, align 4
@pool_owner = internal global i32 0, align 128
@pool_process = internal global i32 0, align 4
@pool_size = internal global i32 0, align 4

@all_signals = internal constant [16 x i64] [
  i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1,
  i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1], align 8

; 0x1f80: round to nearest, all exceptions masked, denormals kept
@default_mxcsr = internal constant i32 8064, align 4

@spin_cycles = internal constant i64 100000, align 8

define internal i64 @now() {
  %time = alloca { i64, i64 }, align 8
  %status = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time, align 8
  %fraction_at = getelementptr { i64, i64 }, ptr %time, i32 0, i32 1
  %fraction = load i64, ptr %fraction_at, align 8
  %whole = mul i64 %seconds, 1000000000
  %ns = add i64 %whole, %fraction
  ret i64 %ns
}

; Sleep while *word == value (system call 202 = futex, 128 = FUTEX_WAIT_PRIVATE).
define internal void @futex_wait(ptr %word, i32 %value) {
  %status = call i64 (i64, ...) @syscall(i64 202, ptr %word, i32 128, i32 %value, ptr null)
  ret void
}

; Wake one sleeper (129 = FUTEX_WAKE_PRIVATE).
define internal void @futex_wake(ptr %word) {
  %status = call i64 (i64, ...) @syscall(i64 202, ptr %word, i32 129, i32 1, ptr null)
  ret void
}

; Wait until *word differs from `value`; `asleep` tells the waker that a futex call is needed.
define internal i32 @await_change(ptr %word, i32 %value, ptr %asleep) {
entry:
  %limit = load i64, ptr @spin_cycles, align 8
  %start = call i64 @llvm.readcyclecounter()
  br label %spin
spin:
  %seen = load atomic i32, ptr %word acquire, align 4
  %changed = icmp ne i32 %seen, %value
  br i1 %changed, label %done, label %pause
pause:
  call void @llvm.x86.sse2.pause()
  %time = call i64 @llvm.readcyclecounter()
  %spent = sub i64 %time, %start
  %patient = icmp ult i64 %spent, %limit
  br i1 %patient, label %spin, label %doze
doze:
  store atomic i32 1, ptr %asleep seq_cst, align 4
  br label %look
look:
  %again = load atomic i32, ptr %word seq_cst, align 4
  %same = icmp eq i32 %again, %value
  br i1 %same, label %sleep, label %wake
sleep:
  call void @futex_wait(ptr %word, i32 %value)
  br label %look
wake:
  store atomic i32 0, ptr %asleep seq_cst, align 4
  br label %done
done:
  %result = phi i32 [ %seen, %spin ], [ %again, %wake ]
  ret i32 %result
}

; The units of the current job are cut into pieces, @pieces_of_thread for each thread, and each
; thread's share is a range of pieces, taken in shrinking parts: half of what is left at a time, by
; its owner from the front, by a thread that has finished its own from the back. So a core that is
; slower than the others, or is disturbed, holds up nobody for long; where all are alike, the shares
; are those of a static schedule.
@pieces_of_thread = internal constant i64 16, align 8

; Number of pieces of the current job, none of which is empty.
define internal i64 @piece_count() {
  %units = load i64, ptr getelementptr (%job, ptr @job, i32 0, i32 2), align 8
  %threads = load i64, ptr getelementptr (%job, ptr @job, i32 0, i32 3), align 8
  %each = load i64, ptr @pieces_of_thread, align 8
  %most = mul i64 %threads, %each
  %count = call i64 @llvm.smin.i64(i64 %most, i64 %units)
  ret i64 %count
}

; item * total / parts, for shares of a job
define internal i64 @bound(i64 %item, i64 %total, i64 %parts) {
  %product = mul i64 %item, %total
  %quotient = udiv i64 %product, %parts
  ret i64 %quotient
}

; Every thread's range before the first of them starts.
define internal void @deal_pieces(i64 %threads) {
entry:
  %pieces = call i64 @piece_count()
  br label %thread
thread:
  %index = phi i64 [ 0, %entry ], [ %next, %thread ]
  %next = add i64 %index, 1
  %begin = call i64 @bound(i64 %index, i64 %pieces, i64 %threads)
  %end = call i64 @bound(i64 %next, i64 %pieces, i64 %threads)
  %upper = shl i64 %end, 32
  %range = or i64 %upper, %begin
  %place = getelementptr [256 x %range], ptr @ranges, i64 0, i64 %index
  store atomic i64 %range, ptr %place monotonic, align 8
  %more = icmp ult i64 %next, %threads
  br i1 %more, label %thread, label %done
done:
  ret void
}

; Takes half (rounded up) of the pieces that are left of thread `index`, from the front or from the
; back: begin and, in the upper half, end; 0 if there are none.
define internal i64 @take_pieces(i64 %index, i1 %from_back) {
entry:
  %place = getelementptr [256 x %range], ptr @ranges, i64 0, i64 %index
  br label %try
try:
  %range = load atomic i64, ptr %place monotonic, align 8
  %begin = and i64 %range, 4294967295
  %end = lshr i64 %range, 32
  %left = sub i64 %end, %begin
  %none = icmp sle i64 %left, 0
  br i1 %none, label %empty, label %split
split:
  %left.1 = add i64 %left, 1
  %count = lshr i64 %left.1, 1
  %front = add i64 %begin, %count
  %back = sub i64 %end, %count
  %rest.begin = select i1 %from_back, i64 %begin, i64 %front
  %rest.end = select i1 %from_back, i64 %back, i64 %end
  %own.begin = select i1 %from_back, i64 %back, i64 %begin
  %own.end = select i1 %from_back, i64 %end, i64 %front
  %rest.upper = shl i64 %rest.end, 32
  %rest = or i64 %rest.upper, %rest.begin
  %exchange = cmpxchg ptr %place, i64 %range, i64 %rest acq_rel monotonic
  %won = extractvalue { i64, i1 } %exchange, 1
  br i1 %won, label %taken, label %try
taken:
  %own.upper = shl i64 %own.end, 32
  %own = or i64 %own.upper, %own.begin
  ret i64 %own
empty:
  ret i64 0
}

; Computes the units of pieces as @take_pieces gives them.
define internal void @run_pieces(i64 %taken) {
entry:
  %kernel = load ptr, ptr @job, align 8
  %buffers = load ptr, ptr getelementptr (%job, ptr @job, i32 0, i32 1), align 8
  %units = load i64, ptr getelementptr (%job, ptr @job, i32 0, i32 2), align 8
  %timed = load i32, ptr getelementptr (%job, ptr @job, i32 0, i32 4), align 8
  %pieces = call i64 @piece_count()
  %first = and i64 %taken, 4294967295
  %last = lshr i64 %taken, 32
  %begin = call i64 @bound(i64 %first, i64 %units, i64 %pieces)
  %end = call i64 @bound(i64 %last, i64 %units, i64 %pieces)
  %plain = icmp eq i32 %timed, 0
  br i1 %plain, label %run, label %time
run:
  call void %kernel(ptr %buffers, i64 %begin, i64 %end)
  ret void
time:
  %start = call i64 @now()
  call void %kernel(ptr %buffers, i64 %begin, i64 %end)
  %stop = call i64 @now()
  %busy = sub i64 %stop, %start
  %before = atomicrmw add ptr getelementptr (%job, ptr @job, i32 0, i32 5), i64 %busy monotonic
  ret void
}

; What thread `index` does for the current job: its own share, then what the next few threads have
; left of theirs (all of up to eight threads; more would look at each other's ranges for too long).
define internal void @run_share(i64 %index) {
entry:
  %threads = load i64, ptr getelementptr (%job, ptr @job, i32 0, i32 3), align 8
  %looked_at = call i64 @llvm.smin.i64(i64 %threads, i64 8)
  br label %next
next:
  %distance = phi i64 [ 0, %entry ], [ %distance, %work ], [ %further, %leave ]
  %sum = add i64 %index, %distance
  %wraps = icmp uge i64 %sum, %threads
  %wrapped = sub i64 %sum, %threads
  %victim = select i1 %wraps, i64 %wrapped, i64 %sum
  %from_back = icmp ne i64 %distance, 0
  %taken = call i64 @take_pieces(i64 %victim, i1 %from_back)
  %none = icmp eq i64 %taken, 0
  br i1 %none, label %leave, label %work
work:
  call void @run_pieces(i64 %taken)
  br label %next
leave:
  %further = add i64 %distance, 1
  %more = icmp ult i64 %further, %looked_at
  br i1 %more, label %next, label %done
done:
  ret void
}

; Body of a worker thread; `self` is its slot.
define internal ptr @worker_main(ptr %self) {
entry:
  call void @llvm.x86.sse.ldmxcsr(ptr @default_mxcsr)
  %asleep = getelementptr %worker, ptr %self, i32 0, i32 1
  %address = ptrtoint ptr %self to i64
  %offset = sub i64 %address, ptrtoint (ptr @workers to i64)
  %slot = udiv i64 %offset, 128
  %index = add i64 %slot, 1
  br label %loop
loop:
  %seen = phi i32 [ 0, %entry ], [ %ticket, %work ], [ %ticket, %wake_leader ]
  %ticket = call i32 @await_change(ptr %self, i32 %seen, ptr %asleep)
  br label %work
work:
  call void @run_share(i64 %index)
  %before = atomicrmw sub ptr @pending, i32 1 seq_cst
  %last = icmp eq i32 %before, 1
  %sleeping = load atomic i32, ptr @leader_asleep seq_cst, align 4
  %sleeps = icmp ne i32 %sleeping, 0
  %wake = and i1 %last, %sleeps
  br i1 %wake, label %wake_leader, label %loop
wake_leader:
  call void @futex_wake(ptr @pending)
  br label %loop
}

; Hand @job to worker `slot`.
define internal void @release_worker(i64 %slot) {
entry:
  %worker = getelementptr [255 x %worker], ptr @workers, i32 0, i64 %slot
  %asleep_at = getelementptr %worker, ptr %worker, i32 0, i32 1
  %before = atomicrmw add ptr %worker, i32 1 seq_cst
  %asleep = load atomic i32, ptr %asleep_at seq_cst, align 4
  %sleeps = icmp ne i32 %asleep, 0
  br i1 %sleeps, label %wake, label %done
wake:
  call void @futex_wake(ptr %worker)
  br label %done
done:
  ret void
}

; Run the job on `threads` threads (two or more, all of them in the pool); return when it is
; finished.
define internal void @fork_join(i64 %threads) {
entry:
  %helpers = sub i64 %threads, 1
  %count = trunc i64 %helpers to i32
  call void @deal_pieces(i64 %threads)
  store atomic i32 %count, ptr @pending seq_cst, align 4
  br label %release
release:
  %slot = phi i64 [ 0, %entry ], [ %slot.next, %release ]
  call void @release_worker(i64 %slot)
  %slot.next = add i64 %slot, 1
  %more = icmp ult i64 %slot.next, %helpers
  br i1 %more, label %release, label %lead
lead:
  call void @run_share(i64 0)
  br label %join
join:
  %left = load atomic i32, ptr @pending acquire, align 4
  %finished = icmp eq i32 %left, 0
  br i1 %finished, label %done, label %wait
wait:
  %changed = call i32 @await_change(ptr @pending, i32 %left, ptr @leader_asleep)
  br label %join
done:
  ret void
}

; Start the worker of slot @pool_size, with all signals blocked; false when the system refuses.
define internal i1 @start_worker() {
entry:
  %mask = alloca [16 x i64], align 8
  %thread = alloca i64, align 8
  %size = load i32, ptr @pool_size, align 4
  %slot = zext i32 %size to i64
  %worker = getelementptr [255 x %worker], ptr @workers, i32 0, i64 %slot
  call void @llvm.memset.p0.i64(ptr align 8 %worker, i8 0, i64 128, i1 false)
  %blocked = call i32 @pthread_sigmask(i32 2, ptr @all_signals, ptr %mask)
  %status = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker_main, ptr %worker)
  %restored = call i32 @pthread_sigmask(i32 2, ptr %mask, ptr null)
  %started = icmp eq i32 %status, 0
  br i1 %started, label %keep, label %fail
keep:
  %id = load i64, ptr %thread, align 8
  %detached = call i32 @pthread_detach(i64 %id)
  %grown = add i32 %size, 1
  store i32 %grown, ptr @pool_size, align 4
  ret i1 true
fail:
  ret i1 false
}

; Grow the pool to `helpers` workers if the system allows; return how many of them may be used.
define internal i32 @grow_pool(i32 %helpers) {
entry:
  br label %check
check:
  %size = load i32, ptr @pool_size, align 4
  %enough = icmp sge i32 %size, %helpers
  br i1 %enough, label %done, label %start
start:
  %started = call i1 @start_worker()
  br i1 %started, label %check, label %done
done:
  %usable = call i32 @llvm.smin.i32(i32 %size, i32 %helpers)
  ret i32 %usable
}

; Take the pool for a run that wants `threads` > 1 threads.  Returns how many threads (the caller
; included) the run may use: 1 means that the pool is not held, more that @pool_release must follow.
define internal i32 @pool_acquire(i32 %threads) {
entry:
  %process = call i32 @getpid()
  %owner = load atomic i32, ptr @pool_owner monotonic, align 4
  %busy = icmp eq i32 %owner, %process
  br i1 %busy, label %alone, label %try
try:
  ; An owner that is another process was left behind by fork().
  %exchange = cmpxchg ptr @pool_owner, i32 %owner, i32 %process seq_cst seq_cst
  %won = extractvalue { i32, i1 } %exchange, 1
  br i1 %won, label %owned, label %alone
owned:
  %pool_process = load i32, ptr @pool_process, align 4
  %ours = icmp eq i32 %pool_process, %process
  br i1 %ours, label %grow, label %reset
reset:
  store i32 %process, ptr @pool_process, align 4
  store i32 0, ptr @pool_size, align 4
  store i32 0, ptr @leader_asleep, align 4
  br label %grow
grow:
  %limited = call i32 @llvm.smin.i32(i32 %threads, i32 256)
  %wanted = sub i32 %limited, 1
  %helpers = call i32 @grow_pool(i32 %wanted)
  %none = icmp eq i32 %helpers, 0
  br i1 %none, label %give_up, label %granted
granted:
  %total = add i32 %helpers, 1
  ret i32 %total
give_up:
  call void @pool_release()
  br label %alone
alone:
  ret i32 1
}

define internal void @pool_release() {
  store atomic i32 0, ptr @pool_owner release, align 4
  ret void
}
