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
