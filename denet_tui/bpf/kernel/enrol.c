/*
 * How a task that runs already comes to be watched, and where it goes when it executes.
 */

/* An exec by a thread that is not the leader moves that task to the leader's id (de_thread in fs/exec.c). */
static __always_inline void move(u32 old_tid, u32 tgid, struct self *self)
{
    struct slot *slot = slot_of(old_tid);
    struct task *task = slot && slot->tid == old_tid ? &slot->task : tasks.lookup(&old_tid);
    if (!task || task->tgid != tgid)
        return;
    struct task moved = *task;
    moved.born = born(self); /* the leader's by now */
    if (keep(self->tid, &moved))
        lose(current_epoch(), LOST_TASK);
    drop(old_tid);
#ifdef ONLY_UID
    if (own.delete(&old_tid) == 0)
        note_own(self->tid);
#endif
}

/* Where an exec fails after it has moved a task, no event says so: it is met as one that is not kept. */
static __always_inline struct task *moved_unseen(struct self *self)
{
    u32 old_tid = self->slot->moving, tgid = bpf_get_current_pid_tgid() >> 32;
    struct slot *other = slot_of(old_tid);
    self->slot->moving = 0;
    if (!other || self->tid != tgid || other->tid != old_tid || other->task.tgid != tgid)
        return 0;
    if (other->task.state != INSIDE || !is_exec_number(other->task.nr))
        return 0;
    move(old_tid, tgid, self);
    return task_of(self);
}

/* The running task, which is not kept, watched from this event on; 0 where it is not to be watched. */
static __always_inline struct task *enrol(struct self *self, u64 place, u8 state)
{
    u32 number = GENERATION, *setting = epoch.lookup(&number);
    struct slot *slot = self->slot;
    struct task *found = 0;
    if (!slot || !setting)
        return 0;
    u32 generation = *setting; /* once: what comes while it is looked is another one, and asks for another look */
    if (slot->moving && (found = moved_unseen(self)))
        return found;
    if (!generation) {
        note_stranger(place, generation);
        return 0;
    }
    if (!is_allowed(self->cred)) /* it may become one that is: no stranger for good */
        return 0;
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct process *process = belonging(self, tgid);
    struct task task = {.state = state, .tgid = tgid, .born = born(self)}, *told = tasks.lookup(&self->tid);
    start_clock(&task, ON_CPU);
    if (told && task.born - told->born < TICK) {
        if (state == MET)
            task.state = told->state;
        begin_late(&task.clock, &told->clock);
    }
    if (process && process->held) { /* from here on forks enter whatever is to be watched */
        task.state = HELD;
        process->held = *setting = 0;
    }
    int kept = process && keep(self->tid, &task) == 0;
    if (told && (!kept || slot->tid == self->tid)) /* after that: who reads finds it in the one or the other */
        tasks.delete(&self->tid);
    if (kept) {
        forget_strangers(place_of(bpf_get_current_task(), self->tid));
        note_own(self->tid);
        return task_of(self);
    }
    if (process)
        lose(current_epoch(), LOST_TASK);
    note_stranger(place, generation);
    return 0;
}
