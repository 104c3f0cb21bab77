static __always_inline void enter(u64 place, s32 nr)
{
    if (is_stranger(place))
        return;
    struct self self = myself();
    struct task *task = task_of(&self);
    if (!task && !(task = enrol(&self, place, IDLE)))
        return;
    if (task->state == HELD && nr != NR_EXECVE && nr != NR_EXECVEAT)
        return;
    if (!is_allowed(self.cred)) {
        has_left(self.tid);
        return;
    }
    u32 now = current_epoch();
#ifdef TIMED
    if (task->clock.where > ON_CPU)
        meet(task, bpf_ktime_get_ns());
#endif
    if (task->state == INSIDE || task->state == UNKEPT) { /* the kernel has skipped us at its exit */
        lose(now, SKIPPED);
        if (task->state == INSIDE)
            count_unreturned(now, task);
    }
    if (task->state == NEW || task->state == HELD)
        note_own(self.tid);
    u8 abi = abi_of(&self, nr);
    task->state = UNKEPT;
#if defined(TIMED) || defined(DETAIL_FILES)
    task->since_ns = 0; /* so that who reads meanwhile does not take what is written for another call */
#endif
#ifdef TIMED
    task->clock.away_ns = 0;
#ifdef ONLY_WANTED
    task->since_ns = bpf_ktime_get_ns();
#endif
#endif
    if (!is_wanted(abi, nr))
        return;
    if (!count_call(now, task->tgid, abi, nr)) {
#ifdef DETAIL_FILES
        miss_files(abi, nr);
#endif
        return;
    }
    task->nr = nr;
    task->abi = abi;
    task->state = INSIDE;
#ifdef DETAIL_FILES
    enter_files(place, &self, task);
#endif
    task->since_ns = bpf_ktime_get_ns();
    if (!is_exec(task))
        return;
#ifdef DETAIL_FILES
    if (task->about & GIVES)
        give(&self, task);
#endif
    if (self.tid != task->tgid) {
        struct slot *slot = slot_of(task->tgid);
        if (slot)
            slot->moving = self.tid;
    }
}

/* Bucket 0 is below 256 ns, bucket i from 2^(7+i), the last one has no end (model.BUCKETS says the same). */
static __always_inline u32 bucket_of(u64 ns)
{
    if (ns >> 31)
        return BUCKETS - 1;
    u32 value = ns >> 8, bucket = 0;
    if (!value)
        return 0;
    if (value >> 16) { value >>= 16; bucket += 16; }
    if (value >> 8) { value >>= 8; bucket += 8; }
    if (value >> 4) { value >>= 4; bucket += 4; }
    if (value >> 2) { value >>= 2; bucket += 2; }
    if (value >> 1) bucket += 1;
    return bucket + 1;
}

static __always_inline void count_error(u32 now, u64 row, s64 result)
{
    struct errno_key key = {.row = row, .number = -result};
    u64 *count = errnos.lookup(&key);
    if (!count) {
        u64 none = 0;
        errnos.insert(&key, &none);
        count = errnos.lookup(&key);
    }
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        lose(now, LOST_ERRNO);
}

static __always_inline void count_return(u32 now, struct task *task, u64 spent_ns, s64 result)
{
    u64 key = ROW_KEY(task->tgid, now & 1, task->abi, task->nr);
    struct row *row = row_of(&key, now);
    if (!row) {
        lose(now, LOST_RETURN);
        return;
    }
    __sync_fetch_and_add(&row->returns, 1);
    if (spent_ns) /* LLVM 11 cannot compile the atomic addition of a constant 0, which a refused call makes of it */
        __sync_fetch_and_add(&row->time_ns, spent_ns);
    if (spent_ns > row->max_ns) /* two CPUs may race here: the smaller of two near-equal maxima may stay */
        row->max_ns = spent_ns;
    u32 bucket = bucket_of(spent_ns);
    if (bucket < BUCKETS)
        __sync_fetch_and_add(&row->buckets[bucket], 1);
    if (is_error(result)) {
        __sync_fetch_and_add(&row->errors, 1);
        count_error(now, key, result);
    }
}

/*
 * The number of a call whose entry was not traced: a seccomp filter or a tracer refused it before. It is a call like
 * others for who makes it, and for strace. It stands in the registers of the running task.
 */
static __always_inline s32 refused_number(void *ctx, u64 place)
{
#ifdef ATTACH_RAW
    char *registers = own_registers(place);
    return registers ? REGISTER(u64, registers, OFF_SYSCALL_NR) : -1;
#else
    return FIELD(s64, TP_EXIT_NR);
#endif
}

/* Whether a seccomp filter or a tracer can have refused a call of the running task. */
static __always_inline int may_be_refused(void)
{
#if defined(OFF_SECCOMP_MODE) && defined(OFF_PTRACE)
    char *task = (char *)bpf_get_current_task();
    u32 mode = 0, traced = 0;
    bpf_probe_read_kernel(&mode, sizeof(mode), task + OFF_SECCOMP_MODE);
    bpf_probe_read_kernel(&traced, sizeof(traced), task + OFF_PTRACE);
    return mode || traced;
#else
    return 0;
#endif
}

static __always_inline void leave(void *ctx, u64 place, s64 result)
{
    if (is_stranger(place))
        return;
    struct self self = myself();
    struct task *task = task_of(&self);
    if (!task)
        task = enrol(&self, place, MET);
    if (!task || task->state == HELD)
        return;
    if (!is_allowed(self.cred) && !has_left(self.tid)) /* the call by which it has left is still this user's */
        return;
    u32 now = current_epoch();
#ifdef TIMED
    if (task->clock.where > ON_CPU)
        meet(task, bpf_ktime_get_ns());
#endif
    u8 state = task->state;
    task->state = IDLE;
#ifdef TIMED
    if (!is_allowed(self.cred)) /* it has left */
        task->clock.where = UNTIMED;
    if (state == UNKEPT)
        leave_kernel(task, bpf_ktime_get_ns());
#endif
    if (state == INSIDE) {
        u64 returned_ns = bpf_ktime_get_ns();
        u64 spent_ns = returned_ns - task->since_ns;
#ifdef TIMED
        leave_kernel(task, returned_ns);
#endif
#ifdef DETAIL_FILES
        leave_files(now, place, &self, task, spent_ns, result);
#endif
        count_return(now, task, spent_ns, result);
#ifdef DETAIL_EXECS
        if (is_error(result) && is_exec(task))
            note_failed_exec(place, &self, task->tgid, task->nr == NR_EXECVEAT, -result);
#endif
        return;
    }
    if (state == NEW)
        note_own(self.tid);
    if (state == MET && may_be_refused() && is_error(result))
        lose(now, BEGUN);
    if (state != IDLE || !is_allowed(self.cred) || has_come_back(self.tid))
        return;
    s32 nr = refused_number(ctx, place);
    u8 abi = abi_of(&self, nr);
    if (!is_wanted(abi, nr))
        return;
    if (!may_be_refused()) /* the kernel has skipped us at its entry */
        lose(now, SKIPPED);
    if (!count_call(now, task->tgid, abi, nr))
        return;
    task->nr = nr;
    task->abi = abi;
    count_return(now, task, 0, result);
}
