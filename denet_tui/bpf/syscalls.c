/*
 * Counts the system calls of watched processes, for denet-tui.
 *
 * Reads no kernel struct by header: the offsets in the OFF_* and TP_* macros come from the running
 * kernel (BTF, tracefs format files), and the header shim beside this file is all that bcc needs.
 *
 * A call is counted when it is entered; its time, error and histogram when the same task leaves it.
 *
 * What a watched task forks is watched before it can run. What runs already enrols itself: a task that is not watched is
 * looked at once, at its next call, and again when user space raises the generation (see `enrol`).
 *
 * Everything that is counted is kept twice, in two sides. `epoch` says which side is written to.
 * User space turns the epoch and waits until no program still writes to the old side (see `grace`);
 * then that side is at rest, is read, and its rows are deleted. So every reading belongs to one
 * instant, the sums in it agree exactly, and maps hold only what happened since the last reading.
 */

#define __always_inline inline __attribute__((always_inline))

#define BUCKETS 24
#define NUMBERS 640 /* syscall numbers per ABI in syscall_counts; the last one stands for all others */
#define ABIS 3
#define NATIVE 0
#define IA32 1
#define X32 2
#define X32_BIT 0x40000000
#define CMDLINE 128
#define CLONE_PARENT 0x8000 /* include/uapi/linux/sched.h */
#define CLONE_THREAD 0x10000
#define TASK_DEAD 0x80 /* include/linux/sched.h */
#define ENOSYS 38
#define SIGKILL 9 /* the same on all machines that are served */
#define SIGSYS 31
#define SIGNAL_GROUP_EXIT 4      /* include/linux/sched/signal.h */
#define SECCOMP_MODE_FILTER 2    /* include/uapi/linux/seccomp.h; a task that it has killed has 3, before 5.17 its mode */
#define TICK 10000000            /* ns; /proc tells the start of a task in these */
#define LARGEST_STACK 65536      /* of a task in the kernel */
#define FOREBEARS 16             /* how far up it is looked for a watched process */
#define NAMESPACES 32 /* MAX_PID_NS_LEVEL, include/linux/pid_namespace.h */

/* Which row: tgid (PID_MAX_LIMIT is 2^22), side and ABI in the lower half, the number in the upper one. */
#define ROW_KEY(tgid, side, abi, nr) ((u64)(u32)(nr) << 32 | (u32)(abi) << 23 | (u32)(side) << 22 | (tgid))

struct row {
    u64 calls;
    u64 returns;
    u64 errors;
    u64 unreturned;
    u64 time_ns;
    u64 buckets[BUCKETS];
    u64 max_ns; /* last: all the others add up, and user space adds them as one long number */
};

struct hot_row {
    u64 key;
    u64 turn; /* epoch + 1 that it belongs to; of any other it is over */
    struct row row;
};

struct errno_key {
    u64 row;
    u64 number;
};

enum task_state {
    IDLE,   /* outside of any call */
    NEW,    /* not yet seen at an entry: its next exit belongs to a call that was not counted (clone, attach) */
    INSIDE, /* in a counted call */
    UNKEPT, /* in a call that is not wanted or could not be kept */
    HELD,   /* before the command's own execve, which will be the first call to count */
    MET,    /* at the exit of a call that began before it was watched, or that was refused since */
    LEAVING, /* it has begun to end, and is kept for its time */
};

#if defined(DETAIL_TIME) && defined(OFF_STATE) && defined(OFF_BORN) && defined(OFF_CRED) && defined(OFF_UID)
#define TIMED
#endif

enum place_of_time { UNTIMED, ON_CPU, RUNNABLE, BLOCKED, UNMET /* only of what user space tells */ };

/* Where a thread is since when, and how long it was where; times.c alone moves it. */
struct clock {
    u64 mark_ns;
    u64 cpu_ns;
    u64 kernel_ns; /* of that, in calls that it has left */
    u64 runqueue_ns;
    u64 blocked_ns;
    u64 unknown_ns; /* it is not known where */
    u64 away_ns;    /* off the CPU since it has entered the call that it is in */
    u64 asleep_ns;  /* blocked since it was on a CPU, if it has been woken since; of one that is late, until it was met */
    u64 sum_ns;     /* the kernel's own CPU time when it was last switched away from; all ones: not known */
    u64 ahead_ns;   /* what is in cpu_ns already of the time since then */
    u64 delay_ns;   /* how long the kernel says that it had waited for a CPU when it was last switched away from */
    u32 where;
    u8 late; /* see enum lateness */
    u8 late_abi;
    u8 slept; /* of one that is late: until it was met it was blocked, or waited for a CPU, or ran */
    u8 pad;
};

/* Of a thread that was met on a CPU without being told, until its next switch: in which kind of call that was. */
enum lateness { LATE = 1, LATE_INSIDE, LATE_KEPT };

struct task {
    u64 since_ns;
    u64 born; /* see `born` below */
    u32 tgid;
    s32 nr;
    u8 abi;
    u8 state;
    u16 about; /* whether the call that it is in is about a file or a path, and whether it is to be told (files.c) */
    s32 late_nr;
    struct clock clock;
};

/*
 * Where a task is kept: in the slot of its tid modulo SLOTS, which costs a fifth of a hash lookup.
 * Two watched tids may want the same slot: `owners` decides which gets it, the others are in `tasks`, where user space
 * also says of the threads of a running process since when they are watched and, where that is known, whether they are in
 * a call (NEW) or not (IDLE), before they are met.
 */
struct slot {
    struct task task;
    u32 tid;    /* owner; 0 is none */
    u32 crowd;  /* watched tasks that would belong here and are in `tasks` */
    u32 moving; /* a thread that executes, and will have the tid of its leader, whose slot this is */
    u32 pad;
};

struct process {
    u64 start_ns;
    u64 end_ns; /* when its last thread began to end, and then, when that was switched away from for the last time */
    u64 exec_ns;
    u64 born;       /* of its leader; 0 until it is met, where user space has entered it */
    u64 least_born; /* then it is from here on, for a TICK; 0 is not known */
    u32 parent;     /* tgid that forked it */
    u32 threads;    /* that live; counted for where BTF does not tell signal_struct.live */
    u32 execs;
    u32 status; /* wait status */
    u32 cmdline_length; /* of the whole; only its beginning is kept */
    u32 held; /* its first task is to be HELD */
    char comm[16];
    char cmdline[CMDLINE];
    u32 pid; /* in the PID namespace of denet-tui; the tgid itself where that is the initial one */
    u32 pad;
};

/* What tasks have used; a number that this kernel's BTF does not tell where to find is all ones. */
struct used {
    u64 cpu_ns;
    u64 minor_faults;
    u64 major_faults;
    u64 read_bytes;
    u64 write_bytes;
};

/*
 * The kernel's own accounts of a process, of those that were watched from their beginning: each thread's are added when
 * it is switched away from for the last time, for only then its CPU time is brought up to date. Complete when `threads`
 * is 0.
 */
struct account {
    struct used all;
    struct used before; /* of the held command before its first execve: not its own doing */
    u64 peak_pages;     /* signal_struct.maxrss, as getrusage(2) tells it */
    u64 before_pages;
    u64 mm_pages; /* most memory of the last program alone; 0: not known */
    u32 threads;  /* whose last switch is still to come */
    u32 held;     /* until that execve */
    u32 hidden;   /* a thread has ended as another user: what it used is not told */
    u32 pad;
};

enum loss {
    LOST_ROW, LOST_RETURN, LOST_ERRNO, LOST_TASK, LOST_PROCESS, REUSED, SKIPPED, FOREIGN, BEGUN, /* of calls */
    LOST_EXEC, LOST_TIME, LOST_WAIT, LOSSES
};

/*
 * What user space sets, in `epoch`: the side (see above); the generation of what is to be watched, which it raises after
 * it has entered a process (0: whatever is watched is entered by a fork); and denet-tui's tgid if it watches all else.
 * COMMAND is set here: the tgid of the command from its first execve to its next switch.
 */
enum setting { EPOCH, GENERATION, WATCHER, COMMAND, SETTINGS };

BPF_TABLE("hash", u64, struct row, pid_syscall_map, ROWS);
BPF_F_TABLE("array", u32, struct hot_row, hot_rows, 2 * HOT, BPF_F_MMAPABLE); /* Linux 5.5; read without a call a row */
BPF_TABLE("hash", u32, u64, hot_owners, 2 * HOT);
BPF_TABLE("hash", struct errno_key, u64, errnos, ERRNOS);
BPF_TABLE("array", u32, struct slot, slots, SLOTS);
BPF_TABLE("hash", u32, u32, owners, SLOTS);
BPF_TABLE("hash", u32, struct task, tasks, TASKS);
BPF_TABLE("array", u32, u64, strangers, SLOTS);
BPF_TABLE("hash", u32, struct process, processes, PROCESSES);
BPF_TABLE("hash", u32, struct account, accounts, PROCESSES);
BPF_TABLE("percpu_array", u32, u64, syscall_counts, 2 * ABIS * NUMBERS);
BPF_TABLE("percpu_array", u32, u64, lost, 2 * LOSSES);
BPF_TABLE("array", u32, u32, epoch, SETTINGS);
/* Updating a map of maps makes the kernel wait for every program that runs (maybe_wait_bpf_programs). */
BPF_ARRAY_OF_MAPS(grace, "epoch", 1);
BPF_TABLE("array", u32, struct row, empty_row, 1);
BPF_TABLE("percpu_array", u32, struct process, process_drafts, 1); /* a new one is too large for the stack */

#ifdef PID_NAMESPACE
/*
 * Ids here are those of the initial PID namespace, and denet-tui does not know them. So its held
 * child takes a secret name and forks once: by that it is known, and it enters itself.
 */
struct claim {
    char comm[16];
    u32 state; /* to enter the task with */
    u32 level; /* of its PID namespace, found when it is entered */
};
BPF_TABLE("array", u32, struct claim, claims, 1);
#endif

#ifdef ONLY_UID
/*
 * Watched tasks that have made a call as this user: a slot may have been written by its reader, and this map, which is
 * not handed over, not. So one that becomes another user's is told, once, and nothing of another user's ever is.
 */
BPF_TABLE("hash", u32, u8, own, SLOTS + TASKS);
#endif

#ifdef ONLY_WANTED
BPF_TABLE("array", u32, u8, wanted, ABIS * NUMBERS);
#endif

/* By names of our own: bcc looks its name for them up among all symbols of the kernel, once for each call. */
static long (*read_user)(void *, u32, const void *) = (void *)BPF_FUNC_probe_read_user;
static long (*read_user_str)(void *, u32, const void *) = (void *)BPF_FUNC_probe_read_user_str;

/*
 * A read of at most `most` bytes: where clang keeps a length on the stack, the verifier forgets the bound of it there
 * before Linux 5.16. So it is given once more, in a register, when nothing is left to be done but the call.
 */
#define READ_AT_MOST(most, read, to, length, from)                                                                     \
    ({                                                                                                                 \
        void *to_ = (to);                                                                                              \
        const void *from_ = (const void *)(from);                                                                      \
        u64 length_ = (length);                                                                                        \
        asm volatile("if %0 <= %3 goto +1\n%0 = %3" : "+r"(length_), "+r"(to_), "+r"(from_) : "i"(most));              \
        read(to_, length_, from_);                                                                                     \
    })

#define FIELD(type, offset) (*(type *)((char *)ctx + (offset))) /* of a tracefs tracepoint's record */

static __always_inline u32 setting(u32 which)
{
    u32 *number = epoch.lookup(&which);
    return number ? *number : 0;
}

static __always_inline u32 current_epoch(void)
{
    return setting(EPOCH);
}

static __always_inline void lose(u32 now, u32 reason)
{
    u32 index = (now & 1) * LOSSES + reason;
    u64 *count = lost.lookup(&index);
    if (count)
        *count += 1;
}

/*
 * Rows are only ever added to atomically, so two CPUs may insert and count at the same time.
 *
 * Most are in `hot_rows`, in the place that their key's hash names, for that costs a sixth of a hash lookup. Who is first
 * in `hot_owners` has the place until the side is read; a row whose place is taken, or is just being taken, is in
 * pid_syscall_map. So a row may be in both, and is their sum.
 */
static __always_inline struct row *row_of(u64 *key, u32 now)
{
    u32 index = (now & 1) * HOT + (*key * 0x9E3779B97F4A7C15ULL >> 40 & (HOT - 1)), zero = 0;
    struct hot_row *hot = hot_rows.lookup(&index);
    if (!hot)
        return 0;
    if (hot->key == *key && hot->turn == now + 1)
        return &hot->row;
    if (hot->turn != now + 1 && hot_owners.insert(&index, key) == 0) {
        struct row *none = empty_row.lookup(&zero);
        if (!none)
            return 0;
        hot->row = *none;
        hot->key = *key;
        asm volatile("" ::: "memory");
        hot->turn = now + 1;
        return &hot->row;
    }
    struct row *row = pid_syscall_map.lookup(key);
    if (row)
        return row;
    struct row *empty = empty_row.lookup(&zero);
    if (!empty)
        return 0;
    pid_syscall_map.insert(key, empty);
    return pid_syscall_map.lookup(key);
}

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

static __always_inline char *current_task(void)
{
#ifdef TASK_BTF
    void *(*helper)(void) = (void *)158; /* with a name: bcc 0.18 crashes on a call of something without */
    return helper();
#else
    return 0;
#endif
}

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
    u64 start = 0;
    bpf_probe_read_kernel(&start, sizeof(start), (char *)bpf_get_current_task() + OFF_BORN);
    return start;
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
    u64 stack = 0;
    bpf_probe_read_kernel(&stack, sizeof(stack), (char *)task + OFF_STACK);
    return stack;
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

static __always_inline u64 kernel_u64(u64 where)
{
    u64 value = 0;
    bpf_probe_read_kernel(&value, sizeof(value), (void *)where);
    return value;
}

#define MMF_DUMPABLE 3 /* include/linux/sched/coredump.h; 1 is SUID_DUMP_USER */
#define READ(type, base, offset)                                                                                       \
    ({                                                                                                                 \
        type value_ = 0;                                                                                               \
        bpf_probe_read_kernel(&value_, sizeof(value_), (char *)(base) + (offset));                                     \
        value_;                                                                                                        \
    })
/* Loads along pointers that begin at the running task. */
#ifdef TASK_BTF
#define OWN(type, base, offset) (*(type *)((char *)(base) + (offset)))
#define SELF current_task()
#define MINE(field, offset) (self->field)
#else
#define OWN READ
#define SELF ((char *)bpf_get_current_task())
#define MINE(field, offset) READ(char *, SELF, offset)
#endif

/*
 * The registers of the call that the running task is in; 0 where they cannot be told. Helper 175, bpf_task_pt_regs (Linux
 * 5.15), gives them; before, what a raw tracepoint gives is read only where that can be these: at the very top of the
 * task's kernel stack, whose size is a power of two.
 */
#ifdef TASK_REGS
#define REGISTER OWN
#else
#define REGISTER READ
#endif
static __always_inline char *own_registers(u64 place)
{
#ifdef TASK_REGS
    void *(*registers)(void *) = (void *)175;
    return registers(current_task());
#elif defined(ATTACH_RAW)
    u64 size = place + SIZE_REGS - kernel_u64(bpf_get_current_task() + OFF_STACK);
    return size == 8192 || size == 16384 || size == 32768 || size == 65536 ? (char *)place : 0;
#else
    return 0;
#endif
}

/*
 * Whether the running task's files and paths may be told to denet-tui: what ptrace(2) asks, too. A setuid program
 * that this user has started is this user's by its real uid alone; a setgid one, and one with capabilities, by its
 * uids. The capabilities are read by halves: before Linux 6.3 they are an array of two. In a user namespace, right below
 * the first one, that this user has made they are this user's as well (man 7 user_namespaces); in any other nothing is.
 */
static __always_inline int may_tell(struct self *self)
{
#ifndef ONLY_UID
    return 1;
#elif defined(OFF_CRED) && defined(OFF_EUID) && defined(OFF_SUID) && defined(OFF_GID) && defined(OFF_EGID) &&           \
    defined(OFF_SGID) && defined(OFF_PERMITTED) && defined(OFF_MM) && defined(OFF_MM_FLAGS)
    char *cred = MINE(cred, OFF_CRED), *mm = MINE(mm, OFF_MM);
    if (OWN(u32, cred, OFF_EUID) != ONLY_UID || OWN(u32, cred, OFF_SUID) != ONLY_UID)
        return 0;
    u32 gid = OWN(u32, cred, OFF_GID);
    if (OWN(u32, cred, OFF_EGID) != gid || OWN(u32, cred, OFF_SGID) != gid)
        return 0;
    u32 capable = OWN(u32, cred, OFF_PERMITTED) | OWN(u32, cred, OFF_PERMITTED + 4);
#if defined(OFF_USER_NS) && defined(OFF_NS_OWNER) && defined(OFF_NS_LEVEL)
    char *namespace = OWN(char *, cred, OFF_USER_NS);
    u32 level = READ(u32, namespace, OFF_NS_LEVEL);
    if (level) {
        if (level != 1 || READ(u32, namespace, OFF_NS_OWNER) != ONLY_UID)
            return 0;
        capable = 0;
    }
#endif
    if (capable)
        return 0;
    return (READ(u64, mm, OFF_MM_FLAGS) & MMF_DUMPABLE) == 1;
#else
    return 0;
#endif
}

#if defined(DETAIL_EXECS) || defined(DETAIL_FILES)
#include "paths.c"
#endif

#ifdef DETAIL_EXECS
#include "execs.c"
#endif

#ifdef BY_CGROUP
#include "cgroups.c"
#else
#define is_inside(task) 1
#endif

static __always_inline u32 number_index(u8 side, u8 abi, s32 nr)
{
    if (abi == X32)
        nr &= ~X32_BIT;
    u32 number = (u32)nr < NUMBERS - 1 ? nr : NUMBERS - 1;
    return (side * ABIS + abi) * NUMBERS + number;
}

static __always_inline u8 abi_of(struct self *self, s32 nr)
{
#if defined(OFF_THREAD_STATUS) && !defined(TASK_BTF)
    bpf_probe_read_kernel(&self->status, sizeof(self->status), (char *)bpf_get_current_task() + OFF_THREAD_STATUS);
#endif
    if (self->status & 2) /* TS_COMPAT: arch/x86/include/asm/thread_info.h */
        return IA32;
    if (HAS_X32 && nr > 0 && nr & X32_BIT)
        return X32;
    return NATIVE;
}

static __always_inline int is_wanted(u8 abi, s32 nr)
{
#ifdef ONLY_WANTED
    u32 index = number_index(0, abi, nr);
    u8 *flag = wanted.lookup(&index);
    return flag && *flag;
#else
    return 1;
#endif
}

/*
 * Who reads the maps may see what this user does and nothing of others, whatever it writes into them. Asked for all
 * that is recorded: calls, forks, names, command lines, exit statuses. `cred` is the running task's.
 */
static __always_inline int is_allowed(char *cred)
{
#ifndef ONLY_UID
    return 1;
#elif defined(TASK_BTF) && defined(OFF_CRED) && defined(OFF_UID) /* two loads in the place of a call, at each event */
    return *(u32 *)(cred + OFF_UID) == ONLY_UID;
#else
    return (u32)bpf_get_current_uid_gid() == ONLY_UID;
#endif
}

static __always_inline void note_own(u32 tid)
{
#ifdef ONLY_UID
    u8 one = 1;
    own.update(&tid, &one);
#endif
}

/* Whether this task, which is another user's now, was this user's until now: said once, as what is not counted. */
static __always_inline int has_left(u32 tid)
{
#ifdef ONLY_UID
    if (own.delete(&tid) == 0) {
        lose(current_epoch(), FOREIGN);
        return 1;
    }
#endif
    return 0;
}

/* Whether this task was another user's until now: the call by which it has come back was not this user's. */
static __always_inline int has_come_back(u32 tid)
{
#ifdef ONLY_UID
    if (!own.lookup(&tid)) {
        note_own(tid);
        return 1;
    }
#endif
    return 0;
}

/* -512..-516 are restarts (include/linux/errno.h): user space never sees them. */
static __always_inline int is_error(s64 result)
{
    return result < 0 && result >= -4095 && (result > -512 || result < -516);
}

static __always_inline int is_exec(struct task *task)
{
    return task->abi == NATIVE && (task->nr == NR_EXECVE || task->nr == NR_EXECVEAT);
}

#ifdef DETAIL_FILES
#include "files.c"
#endif

#ifdef DETAIL_TIME
#include "times.c"
#endif

/* Counts one call in the totals and in its row; 0 where the row could not be kept. */
static __always_inline struct row *count_call(u32 now, u32 tgid, u8 abi, s32 nr)
{
    u32 index = number_index(now & 1, abi, nr);
    u64 *count = syscall_counts.lookup(&index);
    if (count)
        *count += 1;
    u64 key = ROW_KEY(tgid, now & 1, abi, nr);
    struct row *row = row_of(&key, now);
    if (!row) {
        lose(now, LOST_ROW);
        return 0;
    }
    __sync_fetch_and_add(&row->calls, 1);
    return row;
}

static __always_inline void count_unreturned(u32 now, struct task *task)
{
    u64 key = ROW_KEY(task->tgid, now & 1, task->abi, task->nr);
    struct row *row = row_of(&key, now);
    if (row)
        __sync_fetch_and_add(&row->unreturned, 1);
    else
        lose(now, LOST_RETURN);
}

static __always_inline void note_cmdline(struct process *process)
{
#ifdef OFF_ARG_START
    char *task = (char *)bpf_get_current_task(), *mm = 0;
    u64 start = 0, end = 0;
    bpf_probe_read_kernel(&mm, sizeof(mm), task + OFF_MM);
    bpf_probe_read_kernel(&start, sizeof(start), mm + OFF_ARG_START);
    bpf_probe_read_kernel(&end, sizeof(end), mm + OFF_ARG_END);
    u64 whole = end - start;
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
    char *leader = 0;
    u64 start = 0;
    bpf_probe_read_kernel(&leader, sizeof(leader), task + OFF_LEADER);
    bpf_probe_read_kernel(&start, sizeof(start), leader + OFF_BORN);
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
    char *leader = 0;
    bpf_probe_read_kernel(&leader, sizeof(leader), task + OFF_LEADER);
    bpf_probe_read_kernel(&new->born, sizeof(new->born), leader + OFF_BORN);
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
        u32 id = 0;
        bpf_probe_read_kernel(&up, sizeof(up), up + OFF_REAL_PARENT);
        bpf_probe_read_kernel(&id, sizeof(id), up + OFF_TGID);
        if (level == 0)
            parent = id;
        if (found || watcher || !id)
            break;
        process = process_of(self, up, id);
        found = process && !process->end_ns;
    }
#ifdef OFF_MM
    bpf_probe_read_kernel(&mm, sizeof(mm), task + OFF_MM);
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
    if (other->task.state != INSIDE || (other->task.nr != NR_EXECVE && other->task.nr != NR_EXECVEAT))
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
    if (told)
        tasks.delete(&self->tid);
    if (process && process->held) { /* from here on forks enter whatever is to be watched */
        task.state = HELD;
        process->held = *setting = 0;
    }
    if (process && keep(self->tid, &task) == 0) {
        forget_strangers(place_of(bpf_get_current_task(), self->tid));
        note_own(self->tid);
        return task_of(self);
    }
    if (process)
        lose(current_epoch(), LOST_TASK);
    note_stranger(place, generation);
    return 0;
}

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
 * others for the process that makes it, and for strace. It stands in the registers of the running task.
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
    __sync_fetch_and_add(&sum->cpu_ns, kernel_u64(task + OFF_CPU));
#else
    sum->cpu_ns = -1;
#endif
#if defined(OFF_MIN_FLT) && defined(OFF_MAJ_FLT)
    __sync_fetch_and_add(&sum->minor_faults, kernel_u64(task + OFF_MIN_FLT));
    __sync_fetch_and_add(&sum->major_faults, kernel_u64(task + OFF_MAJ_FLT));
#else
    sum->minor_faults = sum->major_faults = -1;
#endif
#if defined(OFF_READ_BYTES) && defined(OFF_WRITE_BYTES)
    __sync_fetch_and_add(&sum->read_bytes, kernel_u64(task + OFF_READ_BYTES));
    __sync_fetch_and_add(&sum->write_bytes, kernel_u64(task + OFF_WRITE_BYTES));
#else
    sum->read_bytes = sum->write_bytes = -1;
#endif
}

static __always_inline u64 peak_pages(u64 task)
{
#if defined(OFF_SIGNAL) && defined(OFF_MAXRSS)
    return kernel_u64(kernel_u64(task + OFF_SIGNAL) + OFF_MAXRSS);
#else
    return 0;
#endif
}

/* As setmax_mm_hiwater_rss (include/linux/mm.h) has it; 0 before Linux 6.16, where the memory is gone at the exit. */
static __always_inline u64 mm_pages(u64 task)
{
    u64 most = 0;
#if defined(OFF_HIWATER) && defined(OFF_RSS) && defined(OFF_COUNT)
    u64 mm = kernel_u64(task + OFF_MM);
    if (!mm)
        return 0;
    s64 file = kernel_u64(mm + OFF_RSS + OFF_COUNT), anonymous = kernel_u64(mm + OFF_RSS + SIZE_COUNTER + OFF_COUNT);
    s64 shared = kernel_u64(mm + OFF_RSS + 3 * SIZE_COUNTER + OFF_COUNT);
    u64 now = (file > 0 ? file : 0) + (anonymous > 0 ? anonymous : 0) + (shared > 0 ? shared : 0);
    most = kernel_u64(mm + OFF_HIWATER);
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
        account->before.cpu_ns = kernel_u64(bpf_get_current_task() + OFF_CPU) + process->start_ns - bpf_ktime_get_ns();
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
#ifdef TASK_BTF
    u32 state = *(u32 *)(current_task() + OFF_STATE);
#else
    u32 state = 0;
    bpf_probe_read_kernel(&state, sizeof(state), (char *)bpf_get_current_task() + OFF_STATE);
#endif
    if (!(state & TASK_DEAD))
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

/*
 * Counts the call at whose entry seccomp has ended the running task: do_exit in the midst of it, so that neither its
 * entry nor its exit is traced (__secure_computing in kernel/seccomp.c). The registers still have it: on x86 the result
 * of a call that did not begin is ENOSYS, where other ends leave the result of the last call. Elsewhere it is a loss.
 */
static __always_inline void count_killed(u32 tgid)
{
#if defined(OFF_SECCOMP_MODE) && defined(OFF_SIGNAL) && defined(OFF_EXIT_CODE)
    char *current = (char *)bpf_get_current_task(), *signal = 0;
    u32 mode = 0, code = 0, flags = 0;
    bpf_probe_read_kernel(&mode, sizeof(mode), current + OFF_SECCOMP_MODE);
    bpf_probe_read_kernel(&code, sizeof(code), current + OFF_EXIT_CODE);
    code &= 0x7f;
    if (!mode || !(code == SIGSYS || (code == SIGKILL && mode != SECCOMP_MODE_FILTER)))
        return;
#if defined(TASK_REGS) && defined(OFF_AX)
    void *(*registers)(void *) = (void *)175;
    char *regs = registers(current_task());
    if (*(s64 *)(regs + OFF_AX) != -ENOSYS)
        return;
    struct self self = myself();
    struct task task = {.tgid = tgid, .nr = *(u64 *)(regs + OFF_SYSCALL_NR)};
    task.abi = abi_of(&self, task.nr);
    u32 now = current_epoch();
    if (is_wanted(task.abi, task.nr) && count_call(now, tgid, task.abi, task.nr))
        count_unreturned(now, &task);
#else
    bpf_probe_read_kernel(&signal, sizeof(signal), current + OFF_SIGNAL);
    bpf_probe_read_kernel(&flags, sizeof(flags), signal + OFF_SIGNAL_FLAGS);
    if (code == SIGKILL || !(flags & SIGNAL_GROUP_EXIT)) /* else the signal came after the exit of its call */
        lose(current_epoch(), SKIPPED);
#endif
#endif
}

#ifdef PID_NAMESPACE
static __always_inline char *pid_of(void *task)
{
    char *pid = 0;
    bpf_probe_read_kernel(&pid, sizeof(pid), (char *)task + OFF_THREAD_PID);
    return pid;
}

/* Its id in the namespace of that level, which may be any number: a process that reads the maps writes to them, too. */
static __always_inline u32 pid_in_namespace(void *task, u32 level)
{
    char *pid = pid_of(task);
    u32 number = 0, deepest = 0;
    bpf_probe_read_kernel(&deepest, sizeof(deepest), pid + OFF_LEVEL);
    if (level <= deepest && level < NAMESPACES)
        bpf_probe_read_kernel(&number, sizeof(number), pid + OFF_NUMBERS + level * SIZE_UPID);
    return number;
}

static __always_inline void enter_claimant(struct self *self)
{
    u32 zero = 0;
    struct claim *claim = claims.lookup(&zero);
    u64 name[2] = {};
    bpf_get_current_comm(name, sizeof(name));
    if (!claim || !name[0] || name[0] != ((u64 *)claim->comm)[0] || name[1] != ((u64 *)claim->comm)[1])
        return;
    char *current = (char *)bpf_get_current_task();
    bpf_probe_read_kernel(&claim->level, sizeof(claim->level), pid_of(current) + OFF_LEVEL);
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct process *new = blank_process();
    if (!new)
        return;
    new->threads = 1;
    new->start_ns = bpf_ktime_get_ns();
    new->pid = pid_in_namespace(current, claim->level);
    struct task task = {.state = claim->state, .tgid = tgid, .born = born(self)};
    start_clock(&task, ON_CPU);
    processes.update(&tgid, new);
    open_account(tgid, claim->state == HELD);
    keep(self->tid, &task);
    forget_strangers(place_of((u64)current, self->tid));
    claim->comm[0] = 0;
}
#endif

#ifdef ATTACH_RAW
/*
 * Whether `child` is a task that the running one has just made (copy_process in kernel/fork.c). Not so told is a thread's
 * parent: where that ends, all threads get another, one after the other.
 */
static __always_inline int is_child(void *child, u64 clone_flags)
{
    char *current = (char *)bpf_get_current_task(), *parent = current, *claimed = 0;
    if (clone_flags & CLONE_THREAD) {
        u32 tgid = 0;
        bpf_probe_read_kernel(&tgid, sizeof(tgid), (char *)child + OFF_TGID);
        return tgid == bpf_get_current_pid_tgid() >> 32;
    }
    if (clone_flags & CLONE_PARENT)
        bpf_probe_read_kernel(&parent, sizeof(parent), current + OFF_REAL_PARENT);
    bpf_probe_read_kernel(&claimed, sizeof(claimed), (char *)child + OFF_REAL_PARENT);
    return claimed == parent;
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
    process->execs += 1;
    process->exec_ns = bpf_ktime_get_ns();
    begin_command(tgid, process, task_of(&self));
    bpf_get_current_comm(&process->comm, sizeof(process->comm));
    note_cmdline(process);
#ifdef DETAIL_EXECS
    note_exec(&self, tgid);
#endif
}

/* Whether the running task is the last of its process to end. */
static __always_inline int is_last(struct process *process)
{
#if defined(OFF_SIGNAL) && defined(OFF_LIVE)
    char *signal = 0;
    u32 live = 0;
    bpf_probe_read_kernel(&signal, sizeof(signal), (char *)bpf_get_current_task() + OFF_SIGNAL);
    bpf_probe_read_kernel(&live, sizeof(live), signal + OFF_LIVE);
    return live == 0;
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
        bpf_probe_read_kernel(&status, sizeof(status), (char *)bpf_get_current_task() + OFF_EXIT_CODE);
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

/*
 * Each program looks at what it is given before it reads by it: only the kernel's own attaching can be meant.
 * All return 1: 0 would take the event away from all others that count it (trace_call_bpf in kernel/trace).
 */
#ifdef ATTACH_RAW
#define IS_CURRENT(task) ((u64)(task) == bpf_get_current_task())

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
    enter(ctx->args[0], ctx->args[1]);
    return 1;
}

int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
    leave(ctx, ctx->args[0], ctx->args[1]);
    return 1;
}

int on_task_newtask(struct bpf_raw_tracepoint_args *ctx)
{
    task_new((void *)ctx->args[0], 0, ctx->args[1]);
    return 1;
}

int on_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
    if (IS_CURRENT(ctx->args[0]))
        task_exec(ctx->args[1]);
    return 1;
}

int on_sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
    if (IS_CURRENT(ctx->args[0]))
        task_exit();
    return 1;
}

int on_sched_switch(struct bpf_raw_tracepoint_args *ctx)
{
    last_switch(); /* of the running task, whatever is given; first, for what is not kept any more has an end */
#ifdef TIMED
    switched(ctx->args[0], (char *)ctx->args[2]);
#endif
    return 1;
}

#ifdef BY_CGROUP
/* A task that has moved is looked at once more, as are all: a process moves with all its threads. */
int on_cgroup_attach_task(struct bpf_raw_tracepoint_args *ctx)
{
    u32 number = GENERATION, *generation = epoch.lookup(&number);
    if (generation)
        __sync_fetch_and_add(generation, 1);
    return 1;
}
#endif

#ifdef DETAIL_TIME
int on_sched_wakeup(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef TIMED
    woken((char *)ctx->args[0]);
#endif
    return 1;
}
#endif
#else
int on_sys_enter(void *ctx)
{
    enter(place_of(0, bpf_get_current_pid_tgid()), FIELD(s64, TP_ENTER_NR));
    return 1;
}

int on_sys_exit(void *ctx)
{
    leave(ctx, place_of(0, bpf_get_current_pid_tgid()), FIELD(s64, TP_EXIT_RESULT));
    return 1;
}

int on_task_newtask(void *ctx)
{
    task_new(0, FIELD(u32, TP_CHILD), FIELD(u64, TP_CLONE_FLAGS));
    return 1;
}

int on_sched_process_exec(void *ctx)
{
    task_exec(FIELD(u32, TP_OLD_PID));
    return 1;
}

int on_sched_process_exit(void *ctx)
{
    task_exit();
    return 1;
}

int on_sched_switch(void *ctx)
{
    last_switch();
    return 1;
}
#endif
