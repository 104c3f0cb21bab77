/*
 * The beginning, the execs and the end of watched tasks.
 */

/*
 * Counts the call at whose entry seccomp has ended the running task: do_exit in the midst of it, so that neither its
 * entry nor its exit is traced (__secure_computing in kernel/seccomp.c). The registers still have it: on x86 the result
 * of a call that did not begin is ENOSYS, where other ends leave the result of the last call. Elsewhere it is a loss.
 */
static __always_inline void count_killed(u32 tgid)
{
#if defined(OFF_SECCOMP_MODE) && defined(OFF_SIGNAL) && defined(OFF_EXIT_CODE)
    u64 current = bpf_get_current_task();
    u32 mode = READ(u32, current, OFF_SECCOMP_MODE), code = READ(u32, current, OFF_EXIT_CODE) & 0x7f;
    if (!mode || !(code == SIGSYS || (code == SIGKILL && mode != SECCOMP_MODE_FILTER)))
        return;
#if defined(TASK_REGS) && defined(OFF_AX)
    char *registers = own_registers(0);
    if (REGISTER(s64, registers, OFF_AX) != -ENOSYS)
        return;
    struct self self = myself();
    struct task task = {.tgid = tgid, .nr = REGISTER(u64, registers, OFF_SYSCALL_NR)};
    task.abi = abi_of(&self, task.nr);
    u32 now = current_epoch();
    if (is_wanted(task.abi, task.nr) && count_call(now, tgid, task.abi, task.nr))
        count_unreturned(now, &task);
#else
    u32 flags = READ(u32, READ(char *, current, OFF_SIGNAL), OFF_SIGNAL_FLAGS);
    if (code == SIGKILL || !(flags & SIGNAL_GROUP_EXIT)) /* else the signal came after the exit of its call */
        lose(current_epoch(), SKIPPED);
#endif
#endif
}

#ifdef ATTACH_RAW
/*
 * Whether `child` is a task that the running one has just made (copy_process in kernel/fork.c). Not so told is a thread's
 * parent: where that ends, all threads get another, one after the other.
 */
static __always_inline int is_child(void *child, u64 clone_flags)
{
    if (clone_flags & CLONE_THREAD)
        return READ(u32, child, OFF_TGID) == bpf_get_current_pid_tgid() >> 32;
    u64 parent = bpf_get_current_task();
    if (clone_flags & CLONE_PARENT)
        parent = READ(u64, parent, OFF_REAL_PARENT);
    return READ(u64, child, OFF_REAL_PARENT) == parent;
}
#endif

/* Runs in the parent, before the child can run. Raw tracepoints tell the child's task_struct, the others its tid. */
static __always_inline void task_new(void *task_struct, u32 child, u64 clone_flags)
{
    forget_strangers(place_of((u64)task_struct, child));
    struct self self = myself();
    struct task *current = task_of(&self);
    if (!is_allowed(self.cred))
        return;
#ifdef PID_NAMESPACE
    if (!current)
        enter_claimant(&self);
#endif
    if (!current)
        return;
#ifdef ATTACH_RAW
    if (!is_child(task_struct, clone_flags)) {
        lose(current_epoch(), LOST_TASK);
        return;
    }
    if (!(clone_flags & CLONE_THREAD) && !is_inside((u64)task_struct))
        return;
    bpf_probe_read_kernel(&child, sizeof(child), (char *)task_struct + OFF_PID);
#endif
    u32 parent = current->tgid;
    struct process *process = processes.lookup(&parent);
    if (!process) { /* its record was lost */
        lose(current_epoch(), LOST_PROCESS);
        return;
    }
    struct task task = {.state = NEW, .tgid = parent, .born = child};
    start_clock(&task, RUNNABLE);
    u64 start = 0;
#if defined(ATTACH_RAW) && defined(OFF_BORN)
    bpf_probe_read_kernel(&start, sizeof(start), (char *)task_struct + OFF_BORN);
    task.born = start;
#endif
    if (clone_flags & CLONE_THREAD) {
        __sync_fetch_and_add(&process->threads, 1);
        struct account *account = accounts.lookup(&parent);
        if (account)
            __sync_fetch_and_add(&account->threads, 1);
    } else {
        u32 zero = 0;
        struct process *new = process_drafts.lookup(&zero);
        if (!new)
            return;
        *new = *process;
        new->start_ns = bpf_ktime_get_ns();
        new->end_ns = new->exec_ns = new->least_born = 0;
        new->born = start;
        new->parent = parent;
        new->threads = 1;
        new->execs = new->status = new->held = 0;
        bpf_get_current_comm(&new->comm, sizeof(new->comm));
        new->pid = child;
#ifdef PID_NAMESPACE
        struct claim *claim = claims.lookup(&zero);
        if (claim)
            new->pid = pid_in_namespace(task_struct, claim->level);
#endif
        struct process *old = processes.lookup(&child);
        if (old)
            lose(current_epoch(), REUSED);
        if (processes.update(&child, new)) {
            lose(current_epoch(), LOST_PROCESS);
            return;
        }
        open_account(child, 0);
#ifdef TIMED
        times.delete(&child);
#endif
        task.tgid = child;
    }
    if (keep(child, &task)) {
        lose(current_epoch(), LOST_TASK);
        if (clone_flags & CLONE_THREAD)
            __sync_fetch_and_add(&process->threads, -1);
        else
            processes.delete(&child);
    }
}

static __always_inline void task_exec(u32 old_tid)
{
    struct self self = myself();
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    if (old_tid != self.tid)
        move(old_tid, tgid, &self);
    struct process *process = process_of(&self, (char *)bpf_get_current_task(), tgid);
    if (!process || !is_allowed(self.cred))
        return;
    process->exec_ns = bpf_ktime_get_ns();
    begin_command(tgid, process, task_of(&self));
    bpf_get_current_comm(&process->comm, sizeof(process->comm));
    note_cmdline(process);
    process->execs += 1; /* last: by this user space knows that the rest is another program's */
#ifdef DETAIL_EXECS
    note_exec(&self, tgid);
#endif
}

/* Whether the running task is the last of its process to end. */
static __always_inline int is_last(struct process *process)
{
#if defined(OFF_SIGNAL) && defined(OFF_LIVE)
    return READ(u32, READ(char *, bpf_get_current_task(), OFF_SIGNAL), OFF_LIVE) == 0;
#else
    return process->threads == 0;
#endif
}

static __always_inline void task_exit(void)
{
    struct self self = myself();
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct task *task = task_of(&self);
    struct process *process = process_of(&self, (char *)bpf_get_current_task(), tgid);
    note_peak(&self, tgid);
    if (task && task->state == INSIDE && is_allowed(self.cred))
        count_unreturned(current_epoch(), task);
    if ((task ? task->state == IDLE : process != 0) && is_allowed(self.cred))
        count_killed(tgid);
#ifdef TIMED
    if (task && process)
        begin_to_end(&self, task, tgid);
    else
#endif
    {
        if (task)
            drop(self.tid);
        tasks.delete(&self.tid); /* what user space has said of it */
    }
#ifdef ONLY_UID
    own.delete(&self.tid); /* whatever its slot says by now */
#endif
    if (!process)
        return;
    __sync_fetch_and_add(&process->threads, -1);
    u32 status = -1; /* not known */
#ifdef OFF_EXIT_CODE
    if (is_allowed(self.cred))
        status = READ(u32, bpf_get_current_task(), OFF_EXIT_CODE);
#endif
    /* The leader's status counts, unless a thread that outlived it ended the process with another. */
    int last = is_last(process);
    if (self.tid == tgid || (last && status))
        process->status = status;
    if (self.tid == tgid && is_allowed(self.cred))
        bpf_get_current_comm(&process->comm, sizeof(process->comm));
    if (last)
        process->end_ns = bpf_ktime_get_ns();
}
