/*
 * The records of processes: which is a task's, and whether a process belongs to those that are to be watched.
 */

static __always_inline void note_cmdline(struct process *process)
{
#ifdef OFF_ARG_START
    u64 mm = READ(u64, bpf_get_current_task(), OFF_MM), start = READ(u64, mm, OFF_ARG_START);
    u64 whole = READ(u64, mm, OFF_ARG_END) - start;
    process->cmdline_length = whole >> 32 ? -1 : whole;
    READ_AT_MOST(CMDLINE, read_user, process->cmdline, whole, start);
#endif
}

/*
 * The record of a task's process, where it is that process's, and not one's that had its id before. Of another user's
 * nothing is written.
 */
static __always_inline struct process *process_of(struct self *self, char *task, u32 tgid)
{
    struct process *process = processes.lookup(&tgid);
#if defined(OFF_BORN) && defined(OFF_LEADER)
    u64 start = READ(u64, READ(char *, task, OFF_LEADER), OFF_BORN);
    if (!process || process->born == start)
        return process;
    if (process->born || (process->least_born && start - process->least_born >= TICK))
        return 0;
    if (is_allowed(self->cred))
        process->born = start;
#endif
    return process;
}

static __always_inline struct process *blank_process(void)
{
    u32 zero = 0;
    struct process *new = process_drafts.lookup(&zero);
    if (new)
        __builtin_memset(new, 0, sizeof(*new));
    return new;
}

/* A new record for the running task's process; 0 where there is no room. */
static __always_inline struct process *new_process(struct self *self, char *task, u32 tgid, u32 parent)
{
    struct process *new = blank_process();
    if (!new)
        return 0;
    new->start_ns = bpf_ktime_get_ns();
    new->parent = parent;
    new->pid = tgid;
    bpf_get_current_comm(&new->comm, sizeof(new->comm));
    note_cmdline(new);
#if defined(OFF_BORN) && defined(OFF_LEADER)
    new->born = READ(u64, READ(char *, task, OFF_LEADER), OFF_BORN);
#endif
    if (processes.lookup(&tgid)) {
        lose(current_epoch(), REUSED);
        processes.update(&tgid, new);
    } else {
        processes.insert(&tgid, new); /* another of its threads may be as far */
    }
    return process_of(self, task, tgid);
}

/*
 * The record of the running task's process where that is to be watched: it is there, or all but denet-tui (and the
 * kernel's own threads) are watched, or one of its forebears is watched. 0 where it is not, or where there is no room.
 */
static __always_inline struct process *belonging(struct self *self, u32 tgid)
{
    char *task = (char *)bpf_get_current_task(), *mm = task;
    struct process *process = process_of(self, task, tgid);
    if (process)
        return process->end_ns ? 0 : process;
#if defined(OFF_TGID) && defined(OFF_REAL_PARENT) && defined(OFF_BORN) && defined(OFF_LEADER)
    u32 watcher = setting(WATCHER), parent = 0;
    int found = 0;
    char *up = task;
#pragma unroll /* before Linux 6.3 a loop that is fallen into is refused (check_cfg in kernel/bpf/verifier.c) */
    for (int level = 0; level < FOREBEARS; level++) {
        up = READ(char *, up, OFF_REAL_PARENT);
        u32 id = READ(u32, up, OFF_TGID);
        if (level == 0)
            parent = id;
        if (found || watcher || !id)
            break;
        process = process_of(self, up, id);
        found = process && !process->end_ns;
    }
#ifdef OFF_MM
    mm = READ(char *, task, OFF_MM);
#endif
    if (watcher)
        found = mm && tgid != watcher && parent != watcher && is_inside((u64)task);
    if (found && !(process = new_process(self, task, tgid, parent)))
        lose(current_epoch(), LOST_PROCESS);
    return found ? process : 0;
#else
    return 0;
#endif
}
