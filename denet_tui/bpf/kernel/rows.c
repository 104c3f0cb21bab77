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
