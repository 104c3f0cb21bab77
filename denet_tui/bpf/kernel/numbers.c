/*
 * Which call it is, and how it ended: its ABI and number, whether it is wanted, or an exec, or was refused.
 */

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
    self->status = READ(u32, bpf_get_current_task(), OFF_THREAD_STATUS);
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

/* -512..-516 are restarts (include/linux/errno.h): user space never sees them. */
static __always_inline int is_error(s64 result)
{
    return result < 0 && result >= -4095 && (result > -512 || result < -516);
}

static __always_inline int is_exec_number(s32 nr)
{
    return nr == NR_EXECVE || nr == NR_EXECVEAT;
}

static __always_inline int is_exec(struct task *task)
{
    return task->abi == NATIVE && is_exec_number(task->nr);
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
    u64 task = bpf_get_current_task();
    return READ(u32, task, OFF_SECCOMP_MODE) || READ(u32, task, OFF_PTRACE);
#else
    return 0;
#endif
}
