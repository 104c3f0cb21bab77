/*
 * The rows: where a process's calls of one number are counted, with their errors and times.
 */

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
