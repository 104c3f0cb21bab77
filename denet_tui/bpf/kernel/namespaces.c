/*
 * Where denet-tui runs inside a PID namespace: ids there, and how its child enters itself.
 */

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

static __always_inline char *pid_of(void *task)
{
    return READ(char *, task, OFF_THREAD_PID);
}

/* Its id in the namespace of that level, which may be any number: a process that reads the maps writes to them, too. */
static __always_inline u32 pid_in_namespace(void *task, u32 level)
{
    char *pid = pid_of(task);
    if (level > READ(u32, pid, OFF_LEVEL) || level >= NAMESPACES)
        return 0;
    return READ(u32, pid, OFF_NUMBERS + level * SIZE_UPID);
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
    claim->level = READ(u32, pid_of(current), OFF_LEVEL);
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
