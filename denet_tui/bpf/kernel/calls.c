/*
 * A call's entry and its return, in their order.
 */

/* As `meet`, without asking for the time where the thread was told to be on a CPU, as it nearly always was. */
static __always_inline void meet_at_call(struct task *task)
{
#ifdef TIMED
    if (task->clock.where > ON_CPU)
        miss(task, bpf_ktime_get_ns());
#endif
}

static __always_inline void enter(u64 place, s32 nr)
{
    if (is_stranger(place))
        return;
    struct self self = myself();
    struct task *task = task_of(&self);
    if (!task && !(task = enrol(&self, place, IDLE)))
        return;
    if (task->state == HELD && !is_exec_number(nr))
        return;
    if (!is_allowed(self.cred)) {
        has_left(self.tid);
        return;
    }
    u32 now = current_epoch();
    meet_at_call(task);
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
    task->since_ns = 0; /* so that a reader does not meanwhile take what is written for another call */
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
    meet_at_call(task);
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
