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

static __always_inline void leave_files(u32 now, u64 place, struct self *self, struct task *task, u64 spent_ns, s64 result)
{
    struct about *about = 0;
    if (task->about) {
        task->about = 0;
        about = about_of(self, 0);
        if (!about || about->tid != self->tid || about->nr != task->nr) {
            if (task->nr != NR_EXECVE && task->nr != NR_EXECVEAT) /* by which its thread may get another id */
                turn_away(NO_ABOUT);
            about = 0;
        }
        if (about) {
            about->result = result;
            count_files(now, place, self, about, task, spent_ns);
        }
    }
    note_slow(now, task, about, spent_ns);
    /* No call goes by what was found for another: its program may be one by then of which nothing is told. */
    if (about)
        about->tid = 0;
    if (about && self->slot && self->slot->tid != self->tid)
        crowded_abouts.delete(&self->tid);
}
