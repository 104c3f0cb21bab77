/*
 * The kernel's own accounts of a process, taken down while its threads end, and when the held command begins.
 */

static __always_inline void open_account(u32 tgid, u32 held)
{
#ifdef OFF_STATE
    struct account new = {.threads = 1, .held = held};
    accounts.update(&tgid, &new); /* where it is full there is none: not known */
#endif
}

static __always_inline void add_used(struct used *sum, u64 task)
{
#if defined(OFF_CPU) && defined(OFF_STATE)
    __sync_fetch_and_add(&sum->cpu_ns, READ(u64, task, OFF_CPU));
#else
    sum->cpu_ns = -1;
#endif
#if defined(OFF_MIN_FLT) && defined(OFF_MAJ_FLT)
    __sync_fetch_and_add(&sum->minor_faults, READ(u64, task, OFF_MIN_FLT));
    __sync_fetch_and_add(&sum->major_faults, READ(u64, task, OFF_MAJ_FLT));
#else
    sum->minor_faults = sum->major_faults = -1;
#endif
#if defined(OFF_READ_BYTES) && defined(OFF_WRITE_BYTES)
    __sync_fetch_and_add(&sum->read_bytes, READ(u64, task, OFF_READ_BYTES));
    __sync_fetch_and_add(&sum->write_bytes, READ(u64, task, OFF_WRITE_BYTES));
#else
    sum->read_bytes = sum->write_bytes = -1;
#endif
}

static __always_inline u64 peak_pages(u64 task)
{
#if defined(OFF_SIGNAL) && defined(OFF_MAXRSS)
    return READ(u64, READ(u64, task, OFF_SIGNAL), OFF_MAXRSS);
#else
    return 0;
#endif
}

/* As setmax_mm_hiwater_rss (include/linux/mm.h) has it; 0 before Linux 6.16, where the memory is gone at the exit. */
static __always_inline u64 mm_pages(u64 task)
{
    u64 most = 0;
#if defined(OFF_HIWATER) && defined(OFF_RSS) && defined(OFF_COUNT)
    u64 mm = READ(u64, task, OFF_MM);
    if (!mm)
        return 0;
    s64 file = READ(s64, mm, OFF_RSS + OFF_COUNT), anonymous = READ(s64, mm, OFF_RSS + SIZE_COUNTER + OFF_COUNT);
    s64 shared = READ(s64, mm, OFF_RSS + 3 * SIZE_COUNTER + OFF_COUNT);
    u64 now = (file > 0 ? file : 0) + (anonymous > 0 ? anonymous : 0) + (shared > 0 ? shared : 0);
    most = READ(u64, mm, OFF_HIWATER);
    most = now > most ? now : most;
#endif
    return most;
}

/*
 * The held command has just become what it is to be, in the midst of its execve. Here all of it begins: its life, what it
 * uses, the time of this call. What was before was its maker's doing, and the end of that memory is as well.
 */
static __always_inline void begin_command(u32 tgid, struct process *process, struct task *task)
{
    struct account *account = accounts.lookup(&tgid);
    if (!account || !account->held)
        return;
    u64 current = bpf_get_current_task();
    add_used(&account->before, current);
    account->before_pages = peak_pages(current);
    account->held = 0;
    process->start_ns = process->exec_ns;
    if (task)
        task->since_ns = process->start_ns;
#ifdef TIMED
    if (task)
        begin_time(task, process->start_ns);
#endif
    u32 index = COMMAND, *begun = epoch.lookup(&index);
    if (begun)
        *begun = tgid;
}

/* At its first switch since, the kernel's own CPU time is up to date: so it is known what it was at the beginning. */
static __always_inline void settle_beginning(void)
{
#if defined(OFF_CPU) && defined(OFF_STATE)
    u32 index = COMMAND, *begun = epoch.lookup(&index);
    if (!begun || !*begun)
        return;
    u32 tgid = *begun;
    if (bpf_get_current_pid_tgid() != ((u64)tgid << 32 | tgid) || !is_allowed(own_cred()))
        return;
    struct account *account = accounts.lookup(&tgid);
    struct process *process = processes.lookup(&tgid);
    if (account && process)
        account->before.cpu_ns = READ(u64, bpf_get_current_task(), OFF_CPU) + process->start_ns - bpf_ktime_get_ns();
    *begun = 0;
#endif
}

static __always_inline void note_peak(struct self *self, u32 tgid)
{
    struct account *account = accounts.lookup(&tgid);
    if (!account || !is_allowed(self->cred))
        return;
    u64 task = bpf_get_current_task();
    u64 peak = peak_pages(task), of_mm = mm_pages(task);
    if (peak > account->peak_pages)
        account->peak_pages = peak;
    if (of_mm)
        account->mm_pages = of_mm;
}

static __always_inline void last_switch(void)
{
    settle_beginning();
#ifdef OFF_STATE
    if (!(OWN(u32, SELF, OFF_STATE) & TASK_DEAD))
        return;
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct process *process = processes.lookup(&tgid);
    if (process && process->end_ns) /* what it has done since then, as to give its memory back, is its doing */
        process->end_ns = bpf_ktime_get_ns();
    struct account *account = accounts.lookup(&tgid);
    if (!account)
        return;
    if (is_allowed(own_cred()))
        add_used(&account->all, bpf_get_current_task());
    else
        account->hidden = 1;
    __sync_fetch_and_add(&account->threads, -1);
#endif
}
