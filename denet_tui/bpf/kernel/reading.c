/*
 * How memory is read, the kernel's and the watched processes', and what the running task leads to: its struct, its
 * registers.
 */

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

static __always_inline char *current_task(void)
{
#ifdef TASK_BTF
    void *(*helper)(void) = (void *)158; /* with a name: bcc 0.18 crashes on a call of something without */
    return helper();
#else
    return 0;
#endif
}

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
    u64 size = place + SIZE_REGS - READ(u64, bpf_get_current_task(), OFF_STACK);
    return size == 8192 || size == 16384 || size == 32768 || size == 65536 ? (char *)place : 0;
#else
    return 0;
#endif
}
