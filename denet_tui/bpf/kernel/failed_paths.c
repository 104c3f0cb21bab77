/*
 * The paths and addresses with which calls fail.
 */

static __always_inline void begin_at_root(struct about *about, struct failed_path *failed)
{
    if (!has_own_root())
        return;
    failed->apart = 2;
    about->at = AT_ROOT;
    about->class |= LOOKS;
}

static __always_inline void read_two(struct about *about, struct failed_path *failed, char *registers)
{
    if (!registers)
        return;
    u64 text = DOES(HAS_FOLDER) ? REGISTER(u64, registers, OFF_ARG_3) : REGISTER(u64, registers, OFF_ARG_1);
    s32 folder = DOES(HAS_FOLDER) ? REGISTER(u64, registers, OFF_ARG_2) : AT_FDCWD;
    failed->length = read_user_str(failed->path, OF_TWO, (void *)about->text);
    failed->other = read_user_str(failed->path + OF_TWO, OF_TWO, (void *)text);
    if (failed->length > 0 && failed->path[0] != '/') {
        failed->apart = folder != about->folder;
        folder = about->folder;
    } else if (failed->other <= 0 || failed->path[OF_TWO] == '/') {
        begin_at_root(about, failed);
        return;
    }
    about->at = folder;
    about->class |= LOOKS;
}

/* Of a path that is longer than there is room its end, which says more; it is as long as no other. */
static __always_inline void read_end(struct about *about, struct failed_path *failed)
{
    u32 zero = 0;
    u64 text = about->text;
    struct file_name *name = name_draft.lookup(&zero);
    if (!name)
        return;
#pragma unroll
    for (int piece = 0; piece < PATH_MAX / FILE_TEXT; piece++) {
        s32 length = read_user_str(name->text, FILE_TEXT, (void *)text);
        if (length <= 0)
            return;
        text += length - 1;
        if (length < FILE_TEXT)
            break;
    }
    if (read_user_str(failed->path, FAILED_PATH, (void *)(text + 1 - FAILED_PATH)) == FAILED_PATH)
        failed->length = FAILED_PATH + 1;
}

/* The path that a call has failed with, for `count_path`; where it does not begin at the root, its folder is looked at. */
static __always_inline void read_path(struct about *about, u64 place)
{
    u32 zero = 0;
    struct failed_path *failed = path_draft.lookup(&zero);
    if (!failed)
        return;
    __builtin_memset(failed, 0, sizeof(*failed));
    if (DOES(HAS_ADDRESS)) {
        u32 size = about->size;
        failed->length = -1;
        if (size <= ADDRESS && READ_AT_MOST(ADDRESS, read_user, failed->path, size, about->text) == 0)
            failed->length = size;
        return;
    }
    if (DOES(HAS_OTHER)) {
        read_two(about, failed, own_registers(place));
        return;
    }
    failed->length = read_user_str(failed->path, FAILED_PATH, (void *)about->text);
    if (failed->length == FAILED_PATH)
        read_end(about, failed);
    if (failed->length > 0 && failed->path[0] != '/') {
        about->at = about->folder;
        about->class |= LOOKS;
    } else if (failed->length > 0)
        begin_at_root(about, failed);
}

static __always_inline void count_path(u32 now, struct about *about)
{
    u32 zero = 0;
    u64 none = 0;
    struct failed_path *failed = path_draft.lookup(&zero);
    if (!failed)
        return;
    failed->where = (now & 1) << 22;
    failed->nr = about->nr;
    failed->error = -about->result;
    if (DOES(LOOKS) && !DOES(HAS_ADDRESS))
        failed->folder = about->looked;
    u64 *count = failed_paths.lookup(failed);
    if (!count) {
        failed_paths.insert(failed, &none);
        count = failed_paths.lookup(failed);
    }
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        turn_away(NO_PATH);
}
