/*
 * Where the time of watched threads goes: on a CPU, waiting for one, blocked; in calls and outside of them. For raw
 * tracepoints alone: others do not tell which task comes next, only its id.
 *
 * Each thread has a clock with its task, and the sums of those that have ended are in `times`, by process. A thread is
 * kept until its last switch, for what it does while it ends is its time as well. What a thread waits for is in `waits`,
 * by process and call, in two sides as the rows are.
 *
 * CPU time is the kernel's own, brought up to date at each switch, as wait4(2) tells it: it counts from the decision for a
 * task, this from the switch to it, and what lies between is taken from its waiting or given to it.
 *
 * A kernel may leave out what some tasks do (seen: switches away from them, wakeups by them); then another wakes, or
 * comes next, without being told. It is met at what it does next. How long it has run and waited for a CPU by then the
 * kernel's own accounts say, but not before its next switch: until then it is `late`, and that time is not known. It stays
 * so where this kernel does not keep them, and where a switch away from the thread itself was left out.
 *
 * Nothing is told of another user's thread, nor written of it: the clock of one that has left this user stands still from
 * then on, and says so (UNTIMED), and so do the sums of its process.
 */

struct times {
    u64 cpu_ns;
    u64 kernel_ns;
    u64 runqueue_ns;
    u64 blocked_ns;
    u64 unknown_ns;
    u64 untimed; /* its threads that are not timed any more */
};

struct wait {
    u64 blocked_ns;
    u64 runqueue_ns;
};

BPF_TABLE("hash", u32, struct times, times, PROCESSES);
BPF_TABLE("hash", u64, struct wait, waits, WAITS);

#ifdef TIMED
static __always_inline void spend(struct task *task, u64 now)
{
    struct clock *clock = &task->clock;
    u64 spent = now - clock->mark_ns;
    if (clock->where == ON_CPU) {
        clock->cpu_ns += spent;
        clock->ahead_ns += spent;
    } else if (clock->where == RUNNABLE)
        clock->runqueue_ns += spent;
    else if (clock->where == BLOCKED)
        clock->blocked_ns += spent;
    clock->mark_ns = now;
}

/* The call that a thread leaves: what it was on a CPU since it has entered that. */
static __always_inline void leave_kernel(struct task *task, u64 now)
{
    if (task->clock.where && task->since_ns)
        task->clock.kernel_ns += now - task->since_ns - task->clock.away_ns;
    task->clock.away_ns = 0;
}

static __always_inline void count_wait(u32 tgid, u8 abi, s32 nr, u64 blocked_ns, u64 runqueue_ns)
{
    u32 now = current_epoch();
    u64 key = ROW_KEY(tgid, now & 1, abi, nr);
    struct wait none = {}, *wait = waits.lookup(&key);
    if (!wait) {
        waits.insert(&key, &none);
        wait = waits.lookup(&key);
    }
    if (!wait) {
        lose(now, LOST_WAIT);
        return;
    }
    if (blocked_ns) /* LLVM 11 cannot compile the atomic addition of a constant 0 */
        __sync_fetch_and_add(&wait->blocked_ns, blocked_ns);
    if (runqueue_ns)
        __sync_fetch_and_add(&wait->runqueue_ns, runqueue_ns);
}

/* A thread that is on a CPU by now, and was not told to be: what lies between is known at its next switch. */
static __always_inline void miss(struct task *task, u64 now)
{
    struct clock *clock = &task->clock;
    u64 spent = now - clock->mark_ns;
    clock->slept = clock->where == BLOCKED;
    clock->mark_ns = now;
    clock->where = ON_CPU;
    clock->late = LATE;
    if ((task->state == INSIDE || task->state == UNKEPT) && task->since_ns) {
        clock->away_ns += clock->asleep_ns + spent;
        clock->late = LATE_INSIDE;
    }
    if (task->state == INSIDE) {
        count_wait(task->tgid, task->abi, task->nr, clock->asleep_ns, 0);
        clock->late = LATE_KEPT;
        clock->late_abi = task->abi;
        task->late_nr = task->nr;
    }
    clock->asleep_ns = spent;
}

/* The running thread, allowed. */
static __always_inline void meet(struct task *task, u64 now)
{
    if (task->clock.where > ON_CPU)
        miss(task, now);
}

/* The time until the running thread was met, of which the kernel says that it ran so long; more is nothing but jitter. */
static __always_inline void settle_late(struct task *task, u64 ran_ns)
{
    struct clock *clock = &task->clock;
    u64 rest_ns = clock->asleep_ns - ran_ns, delayed_ns = rest_ns;
    u32 was_inside = clock->late != LATE;
    if (task->state == LEAVING && !was_inside)
        clock->kernel_ns -= ran_ns;
    else if (task->state != LEAVING && was_inside)
        clock->kernel_ns += ran_ns;
    if (clock->slept) {
#ifdef OFF_DELAY
        delayed_ns = OWN(u64, SELF, OFF_DELAY) - clock->delay_ns;
        if (!OWN(u64, SELF, OFF_ARRIVALS)) /* it does not count them */
#endif
        {
            clock->unknown_ns += rest_ns;
            return;
        }
        if ((s64)(rest_ns - delayed_ns) < 0)
            delayed_ns = rest_ns;
    }
    clock->runqueue_ns += delayed_ns;
    clock->blocked_ns += rest_ns - delayed_ns;
    if (clock->late == LATE_KEPT && (s64)rest_ns > 0)
        count_wait(task->tgid, clock->late_abi, task->late_nr, rest_ns - delayed_ns, delayed_ns);
}

/* Into the sums of its process. */
static __always_inline void hand_in(struct task *task, struct times *sums)
{
    struct clock *clock = &task->clock;
    __sync_fetch_and_add(&sums->cpu_ns, clock->cpu_ns);
    __sync_fetch_and_add(&sums->kernel_ns, clock->kernel_ns);
    __sync_fetch_and_add(&sums->runqueue_ns, clock->runqueue_ns);
    __sync_fetch_and_add(&sums->blocked_ns, clock->blocked_ns);
    __sync_fetch_and_add(&sums->unknown_ns, clock->unknown_ns);
    clock->cpu_ns = clock->kernel_ns = clock->runqueue_ns = clock->blocked_ns = clock->unknown_ns = 0;
}

/* A thread begins to end, in the midst of a call or outside of any; what is left of it is the kernel's doing. */
static __always_inline void begin_to_end(struct self *self, struct task *task, u32 tgid)
{
    u64 now = bpf_ktime_get_ns();
    u32 where = task->clock.where;
    if (!is_allowed(self->cred)) {
        drop(self->tid);
        if (where)
            return;
    } else {
        meet(task, now);
        where = task->clock.where;
        spend(task, now);
        if (task->state == INSIDE || task->state == UNKEPT)
            leave_kernel(task, now);
        task->state = LEAVING;
    }
    struct times none = {}, *sums = times.lookup(&tgid);
    if (!sums) {
        times.insert(&tgid, &none);
        sums = times.lookup(&tgid);
    }
    if (sums && where)
        hand_in(task, sums);
    else if (sums)
        sums->untimed += 1;
    else
        lose(current_epoch(), LOST_TIME);
}

/* In the midst of a call, of which no more counts than what is still to come. */
static __always_inline void begin_time(struct task *task, u64 now)
{
    struct clock fresh = {.mark_ns = now, .where = ON_CPU, .sum_ns = -1};
    u64 key = ROW_KEY(task->tgid, current_epoch() & 1, task->abi, task->nr);
    task->clock = fresh;
    waits.delete(&key);
}

static __always_inline void switch_out(char *cred, struct task *task, u64 now, u32 state, u32 preempted)
{
    struct clock *clock = &task->clock;
    if (!clock->where || !is_allowed(cred))
        return;
    meet(task, now);
    spend(task, now);
#ifdef OFF_CPU
    u64 sum = OWN(u64, SELF, OFF_CPU);
    if (clock->sum_ns != -1) {
        u64 more = sum - clock->sum_ns - clock->ahead_ns; /* below 0 where the kernel has counted less */
        clock->cpu_ns += more;
        if (clock->late)
            settle_late(task, more);
        else
            clock->runqueue_ns -= more;
        clock->late = 0;
    }
    clock->sum_ns = sum;
#endif
    if (clock->late)
        clock->unknown_ns += clock->asleep_ns;
#ifdef OFF_DELAY
    clock->delay_ns = OWN(u64, SELF, OFF_DELAY);
#endif
    clock->late = 0;
    clock->ahead_ns = clock->asleep_ns = 0;
    clock->where = state && !preempted ? BLOCKED : RUNNABLE;
}

/* It was not told when it was switched away from, nor how long it has waited since. */
static __always_inline void lose_sight(char *other, struct task *task, u64 now)
{
    struct clock *clock = &task->clock;
    u64 spent = now - clock->mark_ns, inside = now - task->since_ns;
    clock->unknown_ns += spent + clock->asleep_ns;
    clock->mark_ns = now;
    if ((task->state == INSIDE || task->state == UNKEPT) && task->since_ns)
        clock->away_ns += spent < inside ? spent : inside;
    clock->sum_ns = -1;
#ifdef OFF_CPU
    clock->sum_ns = READ(u64, other, OFF_CPU);
#endif
    clock->ahead_ns = clock->asleep_ns = clock->late = 0;
}

static __always_inline void switch_in(char *other, struct task *task, u64 now)
{
    struct clock *clock = &task->clock;
    u64 waited = now - clock->mark_ns;
    if (clock->where == ON_CPU) {
        lose_sight(other, task, now);
        return;
    }
    if (clock->where == BLOCKED) {
        miss(task, now);
        return;
    }
    spend(task, now);
    clock->where = ON_CPU;
    if (task->state == INSIDE || task->state == UNKEPT)
        clock->away_ns += clock->asleep_ns + waited;
    if (task->state == INSIDE)
        count_wait(task->tgid, task->abi, task->nr, clock->asleep_ns, waited);
    clock->asleep_ns = 0;
}

/* A watched thread that is not the running one; 0 where it is none, or another user's. */
static __always_inline struct task *timed(char *other)
{
    u32 tid = READ(u32, other, OFF_PID);
    struct slot *slot = slot_of(tid);
    if (!slot || (slot->tid != tid && !slot->crowd))
        return 0;
    struct task *task = slot->tid == tid ? &slot->task : tasks.lookup(&tid);
    if (!task || !task->clock.where || task->born != READ(u64, other, OFF_BORN))
        return 0;
#ifdef ONLY_UID
    if (READ(u32, READ(char *, other, OFF_CRED), OFF_UID) != ONLY_UID)
        return 0;
#endif
    return task;
}

/* `next` is the task that comes after the running one. */
static __always_inline void switched(u32 preempted, char *next)
{
    struct self self = myself();
    struct task *task = task_of(&self);
    u64 now = 0;
    if (task) {
        u32 state = OWN(u32, SELF, OFF_STATE);
        now = bpf_ktime_get_ns();
        switch_out(self.cred, task, now, state, preempted);
#ifdef DETAIL_FILES
        if (task->about & GIVES && task->clock.where == BLOCKED && task->state == INSIDE && is_allowed(self.cred))
            give(&self, task);
#endif
        if (state & TASK_DEAD) {
            struct times *sums = times.lookup(&task->tgid);
            if (sums && task->clock.where) {
                task->clock.kernel_ns += task->clock.cpu_ns;
                hand_in(task, sums);
            } else if (sums)
                sums->untimed += 1;
            drop(self.tid);
        }
    }
    task = timed(next);
    if (task)
        switch_in(next, task, now ? now : bpf_ktime_get_ns());
}

static __always_inline void woken(char *other)
{
    struct task *task = timed(other);
    if (!task || task->clock.where != BLOCKED)
        return;
    u64 now = bpf_ktime_get_ns();
    task->clock.asleep_ns += now - task->clock.mark_ns;
    spend(task, now);
    task->clock.where = RUNNABLE;
}
#endif
