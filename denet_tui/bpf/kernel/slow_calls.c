/*
 * The slowest calls of each number.
 */

/* Each CPU keeps the slowest calls of an interval that it has seen; so they are written by one at a time. */
static __always_inline void note_slow(u32 now, struct task *task, struct about *about, u64 spent_ns)
{
    u32 index = task->nr, zero = 0;
    u64 *bar = slow_bars.lookup(&index);
    if (!bar || spent_ns <= *bar || index >= NUMBERS - 1 || task->abi != NATIVE)
        return;
    u64 key = ROW_KEY(bpf_get_smp_processor_id(), now & 1, NATIVE, index);
    struct slowest *most = slow_calls.lookup(&key);
    if (!most) {
        struct slowest *none = none_slow.lookup(&zero);
        if (none)
            slow_calls.insert(&key, none);
        most = slow_calls.lookup(&key);
    }
    if (!most) {
        turn_away(NO_SLOW);
        return;
    }
    u64 place = most->least, next = -1;
    if (place >= SLOWEST)
        return;
    struct slow *slow = &most->each[place];
    if (spent_ns <= slow->time_ns)
        return;
    slow->time_ns = spent_ns;
    slow->at_ns = task->since_ns;
    slow->tgid = task->tgid;
    slow->length = 0;
    slow->file.device = 0;
    if (about) {
        slow->file = about->file;
        if (is_exec(task)) {
            struct given *given = givens.lookup(&about->tid);
            if (given && given->since_ns == task->since_ns) {
                slow->length = given->length;
                __builtin_memcpy(slow->path, given->text, SLOW_PATH);
            }
        } else if (DOES(HAS_PATH))
            slow->length = read_user_str(slow->path, SLOW_PATH, (void *)about->text);
    }
#pragma unroll
    for (int i = 0; i < SLOWEST; i++)
        if (most->each[i].time_ns < next) {
            next = most->each[i].time_ns;
            most->least = i;
        }
    if (next > *bar) /* another CPU may be lower, and then more calls than needed are looked at */
        *bar = next;
}
