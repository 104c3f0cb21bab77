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
