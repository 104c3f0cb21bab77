/*
 * What watched processes execute, also in vain: one record an exec, which user space takes away.
 *
 * Nothing is told here of which `ps` would not tell its user: the path and the words of a program that runs as its
 * user, and of a setuid program only what it has become. Words are text of user space, read by the kernel's own check.
 */

#define EXEC_PATH 256
#define EXEC_CWD 512
#define EXEC_WORDS 512
#define LONG_WORDS 4096
#define EXEC_FAILED_WORDS 64 /* of a call that failed: they are gathered one by one */

struct exec {
    u64 at_ns;
    u32 tgid;
    u32 uid;
    u32 error;        /* 0 where it is executed */
    s32 path_length;  /* each with its NUL, and 0 or less where it is not known */
    u32 cwd_length;
    u32 words_length; /* of the whole, whatever is kept */
    u32 words_cut;    /* there is more than that */
    u32 cwd_end; /* enum path_end, and FOLDER_GONE, OTHER_FOLDER */
    char path[EXEC_PATH];
    char cwd[EXEC_CWD]; /* the innermost folder first */
    char words[EXEC_WORDS];
};

#define FOLDER_GONE 4  /* the current folder has been deleted */
#define OTHER_FOLDER 8 /* the path begins at a descriptor, whose folder is not told */

struct long_words {
    char text[LONG_WORDS];
};

/* Too large for the stack. */
struct exec_draft {
    u64 number;
    struct exec exec;
    struct long_words words;
    char more[LONG_WORDS]; /* of the last word of a call that failed */
};

BPF_TABLE("hash", u64, struct exec, execs, EXECS);
BPF_TABLE("hash", u64, struct long_words, long_execs, LONG_EXECS); /* of those whose words do not fit into `execs` */
BPF_TABLE("percpu_array", u32, struct exec_draft, exec_drafts, 1);

static __always_inline struct exec_draft *new_exec(struct self *self, u32 tgid, u32 error)
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
    draft->exec.cwd_length = draft->exec.cwd_end = 0;
#ifdef PATHS
    if (may_tell(self)) {
        draft->exec.cwd_end = take_path(own_folder(), draft->exec.cwd, &draft->exec.cwd_length, EXEC_CWD - PATH_PIECE);
        draft->exec.cwd_length += 1; /* the root has no name */
        if (is_deleted(READ(char *, own_folder(), OFF_DENTRY)))
            draft->exec.cwd_end |= FOLDER_GONE;
    }
#endif
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
static __always_inline void note_exec(struct self *self, u32 tgid)
{
    struct exec_draft *draft = new_exec(self, tgid, 0);
    if (!draft)
        return;
#if defined(OFF_ARG_START) && defined(OFF_ENV_END)
    u64 mm = READ(u64, bpf_get_current_task(), OFF_MM), start = READ(u64, mm, OFF_ARG_START);
    u64 whole = READ(u64, mm, OFF_ARG_END) - start;
    if (READ_AT_MOST(LONG_WORDS, read_user, draft->words.text, whole, start) == 0) {
        draft->exec.words_length = whole >> 32 ? -1 : whole;
        draft->exec.words_cut = whole > LONG_WORDS;
    }
    if (may_tell(self))
        draft->exec.path_length =
            read_user_str(draft->exec.path, EXEC_PATH, (void *)READ(u64, mm, OFF_ENV_END));
#endif
    tell_exec(draft);
}

static __always_inline void note_failed_exec(u64 place, struct self *self, u32 tgid, int at_folder, u32 error)
{
    struct exec_draft *draft = new_exec(self, tgid, error);
    if (!draft)
        return;
#if defined(OFF_ARG_0) && defined(OFF_ARG_1) && defined(OFF_ARG_2)
    u64 path = 0, words = 0;
    u32 *length = &draft->exec.words_length;
    if (may_tell(self)) {
        char *registers = own_registers(place);
        if (registers) {
            u64 first = REGISTER(u64, registers, OFF_ARG_0), second = REGISTER(u64, registers, OFF_ARG_1);
            u64 third = REGISTER(u64, registers, OFF_ARG_2);
            path = at_folder ? second : first;
            words = at_folder ? third : second;
            if (at_folder && (s32)first != AT_FDCWD)
                draft->exec.cwd_end |= OTHER_FOLDER;
        }
    }
    if (path)
        draft->exec.path_length = read_user_str(draft->exec.path, EXEC_PATH, (void *)path);
#pragma unroll EXEC_FAILED_WORDS /* LLVM 19 leaves it a loop else: see `belonging` in processes.c */
    for (int index = 0; index < EXEC_FAILED_WORDS; index++) {
        u64 word = 0;
        if (!words || read_user(&word, sizeof(word), (void *)(words + 8 * index)))
            break;
        u64 at = *(volatile u32 *)length; /* as in take_path */
        asm volatile("" : "+r"(at));
        if (!word)
            draft->exec.words_cut = at > LONG_WORDS;
        if (!word || at >= LONG_WORDS)
            break;
        s32 size = read_user_str(draft->words.text + at, LONG_WORDS, (void *)word);
        if (size <= 0)
            break;
        *length = at + size;
    }
#endif
    tell_exec(draft);
}
