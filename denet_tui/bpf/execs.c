/*
 * What watched processes execute, also in vain: one record an exec, which user space takes away. Included by syscalls.c.
 *
 * Nothing is told here of which `ps` would not tell its user: the path and the words of who executes as itself, and of a
 * setuid program only what it has become. Words are text of user space, and are read by the kernel's own check.
 */

#define EXEC_PATH 256
#define EXEC_CWD 512
#define EXEC_NAME 256 /* NAME_MAX and a NUL; half of EXEC_CWD */
#define EXEC_WORDS 512
#define LONG_WORDS 4096
#define EXEC_LEVELS 16 /* folders and mounts up to the root */
#define EXEC_FAILED_WORDS 16 /* of a call that failed: they are gathered one by one */

struct exec {
    u64 at_ns;
    u32 tgid;
    u32 uid;
    u32 error;        /* 0 where it is executed */
    s32 path_length;  /* each with its NUL, and 0 or less where it is not known */
    u32 cwd_length;
    u32 words_length; /* of the whole, whatever is kept */
    u32 words_cut;    /* there is more than that */
    u32 cwd_cut;
    char path[EXEC_PATH];
    char cwd[EXEC_CWD]; /* the innermost folder first */
    char words[EXEC_WORDS];
};

struct long_words {
    char text[LONG_WORDS];
};

/* Too large for the stack. */
struct exec_draft {
    u64 number;
    struct exec exec;
    struct long_words words;
};

BPF_TABLE("hash", u64, struct exec, execs, EXECS);
BPF_TABLE("hash", u64, struct long_words, long_execs, LONG_EXECS); /* of those whose words do not fit into `execs` */
BPF_TABLE("percpu_array", u32, struct exec_draft, exec_drafts, 1);

/* The folder that the running task is in, name by name up to the root of all mounts. */
static __always_inline void note_cwd(struct exec *exec)
{
    exec->cwd_length = exec->cwd_cut = 0;
#if defined(OFF_FS) && defined(OFF_PWD) && defined(OFF_DENTRY) && defined(OFF_DPARENT) && defined(OFF_DNAME) &&        \
    defined(OFF_MOUNT) && defined(OFF_MNT_PARENT) && defined(OFF_MNT_POINT) && defined(OFF_MNT_ROOT)
    u64 folder = kernel_u64(bpf_get_current_task() + OFF_FS) + OFF_PWD;
    u64 dentry = kernel_u64(folder + OFF_DENTRY), mount = kernel_u64(folder) - OFF_MOUNT;
    u32 length = 0;
    exec->cwd_cut = 1;
#pragma unroll
    for (int level = 0; level < EXEC_LEVELS; level++) {
        u64 parent = kernel_u64(dentry + OFF_DPARENT);
        if (dentry == kernel_u64(mount + OFF_MOUNT + OFF_MNT_ROOT) || dentry == parent) {
            u64 above = kernel_u64(mount + OFF_MNT_PARENT);
            if (above == mount || !above) {
                exec->cwd_cut = 0;
                break;
            }
            dentry = kernel_u64(mount + OFF_MNT_POINT);
            mount = above;
            continue;
        }
        u64 text = kernel_u64(dentry + OFF_DNAME), at = length;
        asm volatile("" : "+r"(at)); /* as in note_cmdline; no call may come in between: before 6.2 that loses the bound */
        if (at >= EXEC_CWD - EXEC_NAME)
            break;
        s32 size = bpf_probe_read_kernel_str(exec->cwd + at, EXEC_NAME, (void *)text);
        if (size <= 0)
            break;
        length += size;
        dentry = parent;
    }
    exec->cwd_length = length + 1; /* the root has no name */
#endif
}

static __always_inline struct exec_draft *new_exec(u32 tgid, u32 error)
{
    u32 zero = 0;
    struct exec_draft *draft = exec_drafts.lookup(&zero);
    if (!draft)
        return 0;
    draft->exec.at_ns = bpf_ktime_get_ns();
    draft->exec.tgid = tgid;
    draft->exec.uid = bpf_get_current_uid_gid();
    draft->exec.error = error;
    draft->exec.path_length = draft->exec.words_length = 0;
    draft->exec.words_cut = 1;
    draft->exec.cwd_length = draft->exec.cwd_cut = 0;
    if (may_tell())
        note_cwd(&draft->exec);
    return draft;
}

/* Hand it over; where there is no room it is counted. */
static __always_inline void tell_exec(struct exec_draft *draft)
{
    u64 number = (u64)bpf_get_smp_processor_id() << 48 | draft->number++;
    bpf_probe_read_kernel(draft->exec.words, EXEC_WORDS, draft->words.text);
    if (draft->exec.words_length > EXEC_WORDS)
        long_execs.update(&number, &draft->words); /* without it they are cut */
    if (execs.update(&number, &draft->exec)) {
        lose(current_epoch(), LOST_EXEC);
        if (draft->exec.words_length > EXEC_WORDS)
            long_execs.delete(&number);
    }
}

/* Of the running task, which has just become another program: that has its path above its environment (fs/exec.c). */
static __always_inline void note_exec(u32 tgid)
{
    struct exec_draft *draft = new_exec(tgid, 0);
    if (!draft)
        return;
#if defined(OFF_ARG_START) && defined(OFF_ENV_END)
    u64 mm = kernel_u64(bpf_get_current_task() + OFF_MM), start = kernel_u64(mm + OFF_ARG_START);
    u64 whole = kernel_u64(mm + OFF_ARG_END) - start;
    u32 length = whole > LONG_WORDS ? LONG_WORDS : whole;
    asm volatile("" : "+r"(length)); /* as in note_cmdline */
    if (length <= LONG_WORDS && read_user(draft->words.text, length, (void *)start) == 0) {
        draft->exec.words_length = whole >> 32 ? -1 : whole;
        draft->exec.words_cut = whole > LONG_WORDS;
    }
    if (may_tell())
        draft->exec.path_length =
            read_user_str(draft->exec.path, EXEC_PATH, (void *)kernel_u64(mm + OFF_ENV_END));
#endif
    tell_exec(draft);
}

static __always_inline void note_failed_exec(u64 place, u32 tgid, int at_folder, u32 error)
{
    struct exec_draft *draft = new_exec(tgid, error);
    if (!draft)
        return;
#if defined(OFF_ARG_0) && defined(OFF_ARG_1) && defined(OFF_ARG_2)
    u64 path = 0, words = 0;
    u32 length = 0;
    if (may_tell()) {
        char *registers = own_registers(place);
        if (registers) {
            u64 first = REGISTER(u64, registers, OFF_ARG_0), second = REGISTER(u64, registers, OFF_ARG_1);
            u64 third = REGISTER(u64, registers, OFF_ARG_2);
            path = at_folder ? second : first;
            words = at_folder ? third : second;
        }
    }
    if (path)
        draft->exec.path_length = read_user_str(draft->exec.path, EXEC_PATH, (void *)path);
#pragma unroll EXEC_FAILED_WORDS /* LLVM 19 leaves it a loop else: see `belonging` in syscalls.c */
    for (int index = 0; index < EXEC_FAILED_WORDS; index++) {
        u64 word = 0;
        if (!words || read_user(&word, sizeof(word), (void *)(words + 8 * index)))
            break;
        if (!word)
            draft->exec.words_cut = 0;
        if (!word || length >= LONG_WORDS / 2)
            break;
        length &= LONG_WORDS / 2 - 1;
        s32 size = read_user_str(draft->words.text + length, LONG_WORDS / 2, (void *)word);
        if (size <= 0)
            break;
        length += size;
        if (size == LONG_WORDS / 2) /* it may go on */
            break;
    }
    draft->exec.words_length = length;
#endif
    tell_exec(draft);
}
