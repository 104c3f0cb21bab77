/*
 * The running task: where a watched one is kept, and how those that are not watched are told quickly.
 */

/*
 * Who is running: its tid, and thread_info.status, which tells the ABI. Helper 158, bpf_get_current_task_btf
 * (Linux 5.11), gives a pointer that may simply be read through; before, every field costs a helper call.
 */
struct self {
    char *task;
    struct slot *slot;
    u32 tid;
    u32 status;
    char *cred, *mm, *files;
};

/*
 * Pointers of the running task. To load one lets the verifier (of Linux 6.x) search through all of the kernel's types, on
 * every way that leads there: so they are loaded first, where there is one way. What a program does not use is not loaded.
 */
#define POINTER(offset) (*(char **)(self.task + (offset)))

static __always_inline char *own_cred(void)
{
#if defined(TASK_BTF) && defined(OFF_CRED)
    return *(char **)(current_task() + OFF_CRED);
#else
    return 0;
#endif
}

static __always_inline struct slot *slot_of(u32 tid)
{
    u32 index = tid & (SLOTS - 1);
    return slots.lookup(&index);
}

static __always_inline struct self myself(void)
{
    struct self self = {};
#ifdef TASK_BTF
    self.task = current_task();
    self.tid = *(u32 *)(self.task + OFF_PID);
#ifdef OFF_THREAD_STATUS
    self.status = *(u32 *)(self.task + OFF_THREAD_STATUS);
#endif
#if defined(ONLY_UID) && defined(OFF_CRED)
    self.cred = POINTER(OFF_CRED);
#endif
#if defined(ONLY_UID) && defined(OFF_MM)
    self.mm = POINTER(OFF_MM);
#endif
#ifdef DETAIL_FILES
    self.files = POINTER(OFF_FILES);
#endif
#else
    self.tid = bpf_get_current_pid_tgid();
#endif
    self.slot = slot_of(self.tid);
    return self;
}

/*
 * What tells a task from others that have had its tid before: its start (ns since boot), where that can be known of a
 * child as well: tracefs tracepoints do not tell its task_struct, and there it is the tid once more.
 */
static __always_inline u64 born(struct self *self)
{
#if !defined(ATTACH_RAW) || !defined(OFF_BORN)
    return self->tid;
#elif defined(TASK_BTF)
    return *(u64 *)(self->task + OFF_BORN);
#else
    return READ(u64, bpf_get_current_task(), OFF_BORN);
#endif
}

static __always_inline struct task *task_of(struct self *self)
{
    struct slot *slot = self->slot;
    if (!slot)
        return 0;
    if (slot->tid == self->tid && slot->task.born == born(self))
        return &slot->task;
    if (!slot->crowd)
        return 0;
    struct task *task = tasks.lookup(&self->tid);
    return task && task->born == born(self) ? task : 0;
}

/*
 * The tasks that are not to be watched, of which most events of a machine are, are told without asking which task runs:
 * by their place, the address of their registers, which are at the end of their kernel stack (tracefs tracepoints do
 * not tell it: there the tid makes one up). It is another task's with the next fork alone, and that forgets.
 * The generation and the place are one number, written at once: 45 bits of the place, and all stacks are in less.
 */
static __always_inline u64 stranger(u64 place, u32 generation)
{
    return (u64)generation << 32 | (u32)(place >> 13);
}

static __always_inline u64 *strangers_at(u64 place)
{
    u32 index = (place >> 14) & (SLOTS - 1);
    return strangers.lookup(&index);
}

static __always_inline int is_stranger(u64 place)
{
    u64 *known = strangers_at(place);
    return known && *known && *known == stranger(place, setting(GENERATION));
}

/* The beginning of what can be a task's place; 64 KB are the largest stacks. */
static __always_inline u64 place_of(u64 task, u32 tid)
{
#ifdef ATTACH_RAW
    return READ(u64, task, OFF_STACK);
#else
    return (u64)tid << 14;
#endif
}

static __always_inline void note_stranger(u64 place, u32 generation)
{
#ifdef ATTACH_RAW
    if (place - place_of(bpf_get_current_task(), 0) >= LARGEST_STACK)
        return;
#endif
    u64 *known = strangers_at(place);
    if (known)
        *known = stranger(place, generation);
}

static __always_inline void forget_strangers(u64 place)
{
#pragma unroll
    for (u64 offset = 0; offset < LARGEST_STACK; offset += 1 << 14) {
        u64 *known = strangers_at(place + offset);
        if (known)
            *known = 0;
    }
}

static __always_inline void start_clock(struct task *task, u32 where)
{
#ifdef TIMED
    task->clock.mark_ns = bpf_ktime_get_ns();
    task->clock.where = where;
    task->clock.sum_ns = where == ON_CPU ? -1 : 0;
#endif
}

/* One that user space has told when it was attached: where it was since, the kernel's accounts say at its next switch. */
static __always_inline void begin_late(struct clock *clock, struct clock *told)
{
#ifdef TIMED
    clock->asleep_ns = clock->mark_ns - told->mark_ns;
    clock->sum_ns = told->sum_ns;
    clock->delay_ns = told->delay_ns;
    clock->late = LATE;
    clock->slept = 1;
#endif
}

/* Start to watch a task; not 0 where there is no room. */
static __always_inline int keep(u32 tid, struct task *task)
{
    u32 index = tid & (SLOTS - 1);
    struct slot *slot = slot_of(tid);
    if (!slot)
        return -1;
    if (slot->tid == tid || owners.insert(&index, &tid) == 0) {
        slot->task = *task;
        slot->tid = tid;
        return 0;
    }
    if (tasks.update(&tid, task))
        return -1;
    __sync_fetch_and_add(&slot->crowd, 1);
    return 0;
}

static __always_inline void drop(u32 tid)
{
    u32 index = tid & (SLOTS - 1);
    struct slot *slot = slot_of(tid);
    if (!slot)
        return;
    if (slot->tid == tid) {
        slot->tid = 0;
        owners.delete(&index);
    } else if (tasks.delete(&tid) == 0) {
        __sync_fetch_and_add(&slot->crowd, -1);
    }
}
