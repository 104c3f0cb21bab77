/*
 * What is kept: numbers and structs that user space knows as well, and the maps. What is counted besides calls has its
 * maps with what fills them.
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
    u16 about; /* whether the call that it is in is about a file or a path, and whether it is to be told (file_entry.c) */
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
