/*
 * What a call was about, counted when it is left.
 */

static __always_inline struct file_row *file_row_of(u32 now, u32 tgid, struct identity *file)
{
    struct file_key key = {.where = (now & 1) << 22 | tgid, .file = *file};
    struct file_row *row = files.lookup(&key);
    if (row)
        return row;
    struct file_row none = {};
    files.insert(&key, &none);
    if (!(row = files.lookup(&key)))
        turn_away(NO_FILE);
    return row;
}

static __always_inline void spend_on(struct file_row *row, u64 spent_ns, u64 blocked_ns)
{
    __sync_fetch_and_add(&row->time_ns, spent_ns);
    if (blocked_ns)
        __sync_fetch_and_add(&row->blocked_ns, blocked_ns);
}

static __always_inline void count_files(u32 now, u64 place, struct self *self, struct about *about, struct task *task, u64 spent_ns)
{
    u32 tgid = task->tgid;
    u64 blocked_ns = task->clock.blocked_ns - about->blocked_ns;
    if (blocked_ns > spent_ns) /* of a thread that was met late it may be less than before */
        blocked_ns = 0;
    s64 result = *(volatile s64 *)&about->result;
    if (is_error(result))
        about->class |= FAILED;
    if (result >= 0)
        about->class |= RETURNED;
    about->looked.device = 0;
    if (DOES(HAS_ADDRESS) ? result == 0 || result == -EINPROGRESS : DOES_ALL(OPENS | RETURNED)) {
        about->at = DOES(OPENS) ? result : about->descriptor;
        about->class |= LOOKS;
    }
    if (DOES_ALL(MAKES_TWO | RETURNED))
        find_two(self, about);
    if (DOES(FAILED) && DOES(HAS_PATH | HAS_ADDRESS))
        read_path(about, place);
    if (DOES(LOOKS))
        look(self, about);
    if (DOES(OPENS | MAKES_TWO) && DOES(RETURNED) && about->looked.device)
        about->class |= OPENED;
    if (DOES(FAILED) && DOES(HAS_PATH | HAS_ADDRESS))
        count_path(now, about);
    if ((DOES(HAS_PEER) ? DOES(WRITES | RETURNED) : DOES(HAS_ADDRESS) && !DOES(LOOKS)) && about->file.device)
        find_peer(self, about, place);
    struct identity file = DOES(OPENED) ? about->looked : about->file;
    struct file_row *row = 0;
    if (file.device)
        row = file_row_of(now, tgid, &file);
    if (row) {
        if (DOES(OPENED))
            __sync_fetch_and_add(&row->opens, 1);
        if (DOES_ALL(READS | RETURNED))
            __sync_fetch_and_add(&row->reads, 1);
        if (DOES_ALL(READS | RETURNED | HAS_BYTES))
            __sync_fetch_and_add(&row->read_bytes, about->result);
        if (DOES_ALL(WRITES | RETURNED))
            __sync_fetch_and_add(&row->writes, 1);
        if (DOES_ALL(WRITES | RETURNED | HAS_BYTES))
            __sync_fetch_and_add(&row->write_bytes, about->result);
        if (DOES(FAILED))
            __sync_fetch_and_add(&row->errors, 1);
        if (!DOES_ALL(OPENED | HAS_FILE))
            spend_on(row, spent_ns, blocked_ns);
    }
    /* The other file: what is written to, the socket that has accepted a connection, or the second that was made. */
    if (!DOES(HAS_SECOND | MAKES_TWO) && !DOES_ALL(OPENED | HAS_FILE))
        return;
    file = DOES(HAS_SECOND | MAKES_TWO) ? about->second : about->file;
    if (!file.device || !(row = file_row_of(now, tgid, &file)))
        return;
    if (DOES(MAKES_TWO)) {
        __sync_fetch_and_add(&row->opens, 1);
        return;
    }
    spend_on(row, spent_ns, blocked_ns);
    if (DOES_ALL(HAS_SECOND | RETURNED)) {
        __sync_fetch_and_add(&row->writes, 1);
        __sync_fetch_and_add(&row->write_bytes, about->result);
    }
    if (DOES(FAILED))
        __sync_fetch_and_add(&row->errors, 1);
}

static __always_inline void leave_files(u32 now, u64 place, struct self *self, struct task *task, u64 spent_ns, s64 result)
{
    struct about *about = 0;
    if (task->about) {
        task->about = 0;
        about = about_of(self, 0);
        if (!about || about->tid != self->tid || about->nr != task->nr) {
            if (!is_exec_number(task->nr)) /* by which its thread may get another id */
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
