/*
 * Counts the system calls of watched processes, for denet-tui.
 *
 * Reads no kernel struct by header: the offsets in the OFF_* and TP_* macros come from the running
 * kernel (BTF, tracefs format files), and the header shim beside this file is all that bcc needs.
 *
 * A call is counted when it is entered; its time, error and histogram when the same task leaves it.
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
};

struct task {
    u64 since_ns;
    u32 tgid;
    s32 nr;
    u8 abi;
    u8 state;
    u16 pad[3];
};

/*
 * Where a task is kept: in the slot of its tid modulo SLOTS, which costs a fifth of a hash lookup.
 * Two watched tids may want the same slot: `owners` decides who has it, and the others are in `tasks`.
 */
struct slot {
    struct task task;
    u32 tid;   /* owner; 0 is nobody */
    u32 crowd; /* watched tasks that would belong here and are in `tasks` */
};

struct process {
    u64 start_ns;
    u64 end_ns;
    u64 exec_ns;
    u32 parent;  /* tgid that forked it */
    u32 threads; /* watched tasks that live */
    u32 execs;
    u32 status; /* wait status */
    u32 cmdline_length;
    char comm[16];
    char cmdline[CMDLINE];
    u32 pid; /* in the PID namespace of who watches; the tgid itself where that is the initial one */
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
    u32 held;     /* as long as it is */
    u32 hidden;   /* a thread has ended as another user: what it used is not told */
    u32 pad;
};

enum loss { LOST_ROW, LOST_RETURN, LOST_ERRNO, LOST_TASK, LOST_PROCESS, REUSED, SKIPPED, FOREIGN, LOSSES };

BPF_TABLE("hash", u64, struct row, pid_syscall_map, ROWS);
BPF_TABLE("hash", struct errno_key, u64, errnos, ERRNOS);
BPF_TABLE("array", u32, struct slot, slots, SLOTS);
BPF_TABLE("hash", u32, u32, owners, SLOTS);
BPF_TABLE("hash", u32, struct task, tasks, TASKS);
BPF_TABLE("hash", u32, struct process, processes, PROCESSES);
BPF_TABLE("hash", u32, struct account, accounts, PROCESSES);
BPF_TABLE("percpu_array", u32, u64, syscall_counts, 2 * ABIS * NUMBERS);
BPF_TABLE("percpu_array", u32, u64, lost, 2 * LOSSES);
BPF_TABLE("array", u32, u32, epoch, 1);
/* Updating a map of maps makes the kernel wait for every program that runs (maybe_wait_bpf_programs). */
BPF_ARRAY_OF_MAPS(grace, "epoch", 1);
BPF_TABLE("array", u32, struct row, empty_row, 1);

#ifdef PID_NAMESPACE
/*
 * Ids here are those of the initial PID namespace, and who watches does not know them. So its held
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
 * Watched tasks that have made a call as this user: a slot may have been written by who reads it, and this map, which is
 * not handed over, not. So one that becomes another user's is told, once, and nothing of anybody else's ever is.
 */
BPF_TABLE("hash", u32, u8, own, SLOTS + TASKS);
#endif

#ifdef ONLY_WANTED
BPF_TABLE("array", u32, u8, wanted, ABIS * NUMBERS);
#endif

#define FIELD(type, offset) (*(type *)((char *)ctx + (offset))) /* of a tracefs tracepoint's record */

static __always_inline u8 current_side(void)
{
    u32 zero = 0, *number = epoch.lookup(&zero);
    return number ? *number & 1 : 0;
}

static __always_inline void lose(u8 side, u32 reason)
{
    u32 index = side * LOSSES + reason;
    u64 *count = lost.lookup(&index);
    if (count)
        *count += 1;
}

/* Rows are only ever added to atomically, so two CPUs may insert and count at the same time. */
static __always_inline struct row *row_of(u64 *key)
{
    struct row *row = pid_syscall_map.lookup(key);
    if (row)
        return row;
    u32 zero = 0;
    struct row *empty = empty_row.lookup(&zero);
    if (!empty)
        return 0;
    pid_syscall_map.insert(key, empty);
    return pid_syscall_map.lookup(key);
}

static __always_inline struct slot *slot_of(u32 tid)
{
    u32 index = tid & (SLOTS - 1);
    return slots.lookup(&index);
}

static __always_inline struct task *task_of(u32 tid)
{
    struct slot *slot = slot_of(tid);
    if (!slot)
        return 0;
    if (slot->tid == tid)
        return &slot->task;
    return slot->crowd ? tasks.lookup(&tid) : 0;
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

static __always_inline u32 number_index(u8 side, u8 abi, s32 nr)
{
    if (abi == X32)
        nr &= ~X32_BIT;
    u32 number = (u32)nr < NUMBERS - 1 ? nr : NUMBERS - 1;
    return (side * ABIS + abi) * NUMBERS + number;
}

/*
 * Who is running: its tid, and thread_info.status, which tells the ABI. Helper 158, bpf_get_current_task_btf
 * (Linux 5.11), gives a pointer that may simply be read through; before, every field costs a helper call.
 */
struct self {
    u32 tid;
    u32 status;
};

static __always_inline struct self myself(void)
{
    struct self self = {};
#ifdef TASK_BTF
    void *(*current_task)(void) = (void *)158; /* with a name: bcc 0.18 crashes on a call of something without */
    char *task = current_task();
    self.tid = *(u32 *)(task + OFF_PID);
#ifdef OFF_THREAD_STATUS
    self.status = *(u32 *)(task + OFF_THREAD_STATUS);
#endif
#else
    self.tid = bpf_get_current_pid_tgid();
#endif
    return self;
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
 * that is recorded: calls, forks, names, command lines, exit statuses.
 */
static __always_inline int is_allowed(void)
{
#ifndef ONLY_UID
    return 1;
#elif defined(TASK_BTF) && defined(OFF_CRED) && defined(OFF_UID) /* two loads in the place of a call, at each event */
    void *(*current_task)(void) = (void *)158;
    char *cred = *(char **)((char *)current_task() + OFF_CRED);
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
        lose(current_side(), FOREIGN);
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

/* Counts one call in the totals and in its row; 0 where the row could not be kept. */
static __always_inline struct row *count_call(u8 side, u32 tgid, u8 abi, s32 nr)
{
    u32 index = number_index(side, abi, nr);
    u64 *count = syscall_counts.lookup(&index);
    if (count)
        *count += 1;
    u64 key = ROW_KEY(tgid, side, abi, nr);
    struct row *row = row_of(&key);
    if (!row) {
        lose(side, LOST_ROW);
        return 0;
    }
    __sync_fetch_and_add(&row->calls, 1);
    return row;
}

static __always_inline void count_unreturned(u8 side, struct task *task)
{
    u64 key = ROW_KEY(task->tgid, side, task->abi, task->nr);
    struct row *row = row_of(&key);
    if (row)
        __sync_fetch_and_add(&row->unreturned, 1);
    else
        lose(side, LOST_RETURN);
}

static __always_inline void enter(s32 nr)
{
    struct self self = myself();
    struct task *task = task_of(self.tid);
    if (!task)
        return;
    if (task->state == HELD && nr != NR_EXECVE && nr != NR_EXECVEAT)
        return;
    if (!is_allowed()) {
        has_left(self.tid);
        return;
    }
    u8 side = current_side();
    if (task->state == INSIDE || task->state == UNKEPT) { /* the kernel has skipped us at its exit */
        lose(side, SKIPPED);
        if (task->state == INSIDE)
            count_unreturned(side, task);
    }
    if (task->state == NEW || task->state == HELD)
        note_own(self.tid);
    u8 abi = abi_of(&self, nr);
    task->state = UNKEPT;
    if (!is_wanted(abi, nr))
        return;
    if (!count_call(side, task->tgid, abi, nr))
        return;
    task->nr = nr;
    task->abi = abi;
    task->state = INSIDE;
    task->since_ns = bpf_ktime_get_ns();
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

static __always_inline void count_error(u8 side, u64 row, s64 result)
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
        lose(side, LOST_ERRNO);
}

static __always_inline void count_return(u8 side, struct task *task, u64 spent_ns, s64 result)
{
    u64 key = ROW_KEY(task->tgid, side, task->abi, task->nr);
    struct row *row = row_of(&key);
    if (!row) {
        lose(side, LOST_RETURN);
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
    /* -512..-516 are restarts (include/linux/errno.h): user space never sees them. */
    if (result < 0 && result >= -4095 && (result > -512 || result < -516)) {
        __sync_fetch_and_add(&row->errors, 1);
        count_error(side, key, result);
    }
}

/*
 * The number of a call whose entry was not traced: a seccomp filter or a tracer refused it before. It is a call like
 * others for who makes it, and for strace. It stands in the registers of the running task, which helper 175,
 * bpf_task_pt_regs (Linux 5.15), gives; before, what the tracepoint gives is read only where that can be these: at the
 * very top of the task's kernel stack, whose size is a power of two.
 */
static __always_inline s32 refused_number(void *ctx)
{
#ifndef WAY_RAW
    return FIELD(s64, TP_EXIT_NR);
#elif defined(TASK_REGS)
    void *(*current_task)(void) = (void *)158;
    void *(*registers)(void *) = (void *)175;
    return *(u64 *)((char *)registers(current_task()) + OFF_SYSCALL_NR);
#else
    u64 regs = ((struct bpf_raw_tracepoint_args *)ctx)->args[0], stack = 0, number = -1;
    bpf_probe_read_kernel(&stack, sizeof(stack), (char *)bpf_get_current_task() + OFF_STACK);
    u64 size = regs + SIZE_REGS - stack;
    if (size == 8192 || size == 16384 || size == 32768 || size == 65536)
        bpf_probe_read_kernel(&number, sizeof(number), (char *)regs + OFF_SYSCALL_NR);
    return number;
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

static __always_inline void leave(void *ctx, s64 result)
{
    struct self self = myself();
    struct task *task = task_of(self.tid);
    if (!task || task->state == HELD)
        return;
    if (!is_allowed() && !has_left(self.tid)) /* the call by which it has left is still this user's */
        return;
    u8 side = current_side();
    u8 state = task->state;
    task->state = IDLE;
    if (state == INSIDE) {
        count_return(side, task, bpf_ktime_get_ns() - task->since_ns, result);
        return;
    }
    if (state == NEW)
        note_own(self.tid);
    if (state != IDLE || !is_allowed() || has_come_back(self.tid))
        return;
    s32 nr = refused_number(ctx);
    u8 abi = abi_of(&self, nr);
    if (!is_wanted(abi, nr))
        return;
    if (!may_be_refused()) /* the kernel has skipped us at its entry */
        lose(side, SKIPPED);
    if (!count_call(side, task->tgid, abi, nr))
        return;
    task->nr = nr;
    task->abi = abi;
    count_return(side, task, 0, result);
}

static __always_inline u64 kernel_u64(char *where)
{
    u64 value = 0;
    bpf_probe_read_kernel(&value, sizeof(value), where);
    return value;
}

static __always_inline void open_account(u32 tgid, u32 held)
{
#ifdef OFF_STATE
    struct account new = {.threads = 1, .held = held};
    accounts.update(&tgid, &new); /* where it is full there is none: not known */
#endif
}

static __always_inline void add_used(struct used *sum, char *task)
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

static __always_inline u64 peak_pages(char *task)
{
#if defined(OFF_SIGNAL) && defined(OFF_MAXRSS)
    return kernel_u64((char *)kernel_u64(task + OFF_SIGNAL) + OFF_MAXRSS);
#else
    return 0;
#endif
}

/* As setmax_mm_hiwater_rss (include/linux/mm.h) has it; 0 before Linux 6.16, where the memory is gone at the exit. */
static __always_inline u64 mm_pages(char *task)
{
    u64 most = 0;
#if defined(OFF_HIWATER) && defined(OFF_RSS) && defined(OFF_COUNT)
    char *mm = (char *)kernel_u64(task + OFF_MM);
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

/* The command's own doing begins here. */
static __always_inline void begin_account(u32 tgid)
{
    struct account *account = accounts.lookup(&tgid);
    if (!account || !account->held)
        return;
    char *task = (char *)bpf_get_current_task();
    add_used(&account->before, task);
    account->before_pages = peak_pages(task);
    account->held = 0;
}

static __always_inline void note_peak(u32 tgid)
{
    struct account *account = accounts.lookup(&tgid);
    if (!account || !is_allowed())
        return;
    char *task = (char *)bpf_get_current_task();
    u64 peak = peak_pages(task), of_mm = mm_pages(task);
    if (peak > account->peak_pages)
        account->peak_pages = peak;
    if (of_mm)
        account->mm_pages = of_mm;
}

static __always_inline void last_switch(void)
{
#ifdef OFF_STATE
#ifdef TASK_BTF
    void *(*current_task)(void) = (void *)158;
    u32 state = *(u32 *)((char *)current_task() + OFF_STATE);
#else
    u32 state = 0;
    bpf_probe_read_kernel(&state, sizeof(state), (char *)bpf_get_current_task() + OFF_STATE);
#endif
    if (!(state & TASK_DEAD))
        return;
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct account *account = accounts.lookup(&tgid);
    if (!account)
        return;
    if (is_allowed())
        add_used(&account->all, (char *)bpf_get_current_task());
    else
        account->hidden = 1;
    __sync_fetch_and_add(&account->threads, -1);
#endif
}

#ifdef PID_NAMESPACE
static __always_inline char *pid_of(void *task)
{
    char *pid = 0;
    bpf_probe_read_kernel(&pid, sizeof(pid), (char *)task + OFF_THREAD_PID);
    return pid;
}

/* Its id in the namespace of that level, which may be any number: who reads the maps writes to them, too. */
static __always_inline u32 pid_in_namespace(void *task, u32 level)
{
    char *pid = pid_of(task);
    u32 number = 0, deepest = 0;
    bpf_probe_read_kernel(&deepest, sizeof(deepest), pid + OFF_LEVEL);
    if (level <= deepest && level < NAMESPACES)
        bpf_probe_read_kernel(&number, sizeof(number), pid + OFF_NUMBERS + level * SIZE_UPID);
    return number;
}

static __always_inline void enter_claimant(void)
{
    u32 zero = 0;
    struct claim *claim = claims.lookup(&zero);
    u64 name[2] = {};
    bpf_get_current_comm(name, sizeof(name));
    if (!claim || !name[0] || name[0] != ((u64 *)claim->comm)[0] || name[1] != ((u64 *)claim->comm)[1])
        return;
    char *current = (char *)bpf_get_current_task();
    bpf_probe_read_kernel(&claim->level, sizeof(claim->level), pid_of(current) + OFF_LEVEL);
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id, tgid = id >> 32;
    struct process process = {.threads = 1, .start_ns = bpf_ktime_get_ns()};
    process.pid = pid_in_namespace(current, claim->level);
    struct task task = {.state = claim->state, .tgid = tgid};
    processes.update(&tgid, &process);
    open_account(tgid, claim->state == HELD);
    keep(tid, &task);
    claim->comm[0] = 0;
}
#endif

#ifdef WAY_RAW
/* Whether `child` is a task that the running one has just made (copy_process in kernel/fork.c). */
static __always_inline int is_child(void *child, u64 clone_flags)
{
    char *current = (char *)bpf_get_current_task(), *parent = current, *claimed = 0;
    if (clone_flags & (CLONE_PARENT | CLONE_THREAD))
        bpf_probe_read_kernel(&parent, sizeof(parent), current + OFF_REAL_PARENT);
    bpf_probe_read_kernel(&claimed, sizeof(claimed), (char *)child + OFF_REAL_PARENT);
    return claimed == parent;
}
#endif

/* Runs in the parent, before the child can run. Raw tracepoints tell the child's task_struct, the others its tid. */
static __always_inline void task_new(void *task_struct, u32 child, u64 clone_flags)
{
    u32 parent = bpf_get_current_pid_tgid() >> 32;
    struct process *process = processes.lookup(&parent);
    if (!is_allowed())
        return;
#ifdef PID_NAMESPACE
    if (!process)
        enter_claimant();
#endif
    if (!process || process->end_ns)
        return;
#ifdef WAY_RAW
    if (!is_child(task_struct, clone_flags))
        return;
    bpf_probe_read_kernel(&child, sizeof(child), (char *)task_struct + OFF_PID);
#endif
    struct task task = {.state = NEW, .tgid = parent};
    if (clone_flags & CLONE_THREAD) {
        __sync_fetch_and_add(&process->threads, 1);
        struct account *account = accounts.lookup(&parent);
        if (account)
            __sync_fetch_and_add(&account->threads, 1);
    } else {
        struct process new = *process;
        new.start_ns = bpf_ktime_get_ns();
        new.end_ns = new.exec_ns = 0;
        new.parent = parent;
        new.threads = 1;
        new.execs = new.status = 0;
        bpf_get_current_comm(&new.comm, sizeof(new.comm));
        new.pid = child;
#ifdef PID_NAMESPACE
        u32 zero = 0;
        struct claim *claim = claims.lookup(&zero);
        if (claim)
            new.pid = pid_in_namespace(task_struct, claim->level);
#endif
        struct process *old = processes.lookup(&child);
        if (old)
            lose(current_side(), REUSED);
        if (processes.update(&child, &new)) {
            lose(current_side(), LOST_PROCESS);
            return;
        }
        open_account(child, 0);
        task.tgid = child;
    }
    if (keep(child, &task)) {
        lose(current_side(), LOST_TASK);
        if (clone_flags & CLONE_THREAD)
            __sync_fetch_and_add(&process->threads, -1);
        else
            processes.delete(&child);
    }
}

static __always_inline void note_cmdline(struct process *process)
{
#ifdef OFF_ARG_START
    char *task = (char *)bpf_get_current_task(), *mm = 0;
    u64 start = 0, end = 0;
    bpf_probe_read_kernel(&mm, sizeof(mm), task + OFF_MM);
    bpf_probe_read_kernel(&start, sizeof(start), mm + OFF_ARG_START);
    bpf_probe_read_kernel(&end, sizeof(end), mm + OFF_ARG_END);
    u32 length = end - start > CMDLINE ? CMDLINE : end - start;
    process->cmdline_length = length;
    asm volatile("" : "+r"(length)); /* keeps clang from dropping the bound that the verifier wants to see */
    if (length <= CMDLINE)
        bpf_probe_read_user(process->cmdline, length, (void *)start);
#endif
}

/* An exec by a thread that is not the leader moves that task to the leader's id (de_thread in fs/exec.c). */
static __always_inline void move(u32 old_tid, u32 tid)
{
    struct task *task = task_of(old_tid);
    if (!task)
        return;
    struct task moved = *task;
    if (keep(tid, &moved))
        lose(current_side(), LOST_TASK);
    drop(old_tid);
#ifdef ONLY_UID
    if (own.delete(&old_tid) == 0)
        note_own(tid);
#endif
}

static __always_inline void task_exec(u32 old_tid)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id, tgid = id >> 32;
    struct process *process = processes.lookup(&tgid);
    if (!process)
        return;
    if (old_tid != tid)
        move(old_tid, tid);
    if (!is_allowed())
        return;
    begin_account(tgid);
    process->execs += 1;
    process->exec_ns = bpf_ktime_get_ns();
    bpf_get_current_comm(&process->comm, sizeof(process->comm));
    note_cmdline(process);
}

static __always_inline void task_exit(void)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id, tgid = id >> 32;
#ifdef ONLY_UID
    own.delete(&tid); /* whatever its slot says by now */
#endif
    note_peak(tgid);
    struct task *task = task_of(tid);
    if (!task)
        return;
    if (task->state == INSIDE && is_allowed())
        count_unreturned(current_side(), task);
    drop(tid);
    struct process *process = processes.lookup(&tgid);
    if (!process)
        return;
    __sync_fetch_and_add(&process->threads, -1);
    u32 status = -1; /* not known */
#ifdef OFF_EXIT_CODE
    if (is_allowed())
        bpf_probe_read_kernel(&status, sizeof(status), (char *)bpf_get_current_task() + OFF_EXIT_CODE);
#endif
    /* The leader's status counts, unless a thread that outlived it ended the process with another. */
    if (tid == tgid || (process->threads == 0 && status))
        process->status = status;
    if (process->threads == 0)
        process->end_ns = bpf_ktime_get_ns();
}

/*
 * Each program looks at what it is given before it reads by it: only the kernel's own attaching can be meant.
 * All return 1: 0 would take the event away from everyone else who counts it (trace_call_bpf in kernel/trace).
 */
#ifdef WAY_RAW
#define IS_CURRENT(task) ((u64)(task) == bpf_get_current_task())

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
    enter(ctx->args[1]);
    return 1;
}

int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
    leave(ctx, ctx->args[1]);
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
    last_switch(); /* of the running task, whatever is given */
    return 1;
}
#else
int on_sys_enter(void *ctx)
{
    enter(FIELD(s64, TP_ENTER_NR));
    return 1;
}

int on_sys_exit(void *ctx)
{
    leave(ctx, FIELD(s64, TP_EXIT_RESULT));
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
