/*
 * What the calls of watched tasks are about: bytes and time by file, failing paths, and the slowest calls. Included by
 * syscalls.c where DETAIL_FILES is defined; the numbers in `classes` come from file_calls.py.
 *
 * A descriptor is resolved when its call is entered (another thread may close it, or put another file there, before the
 * call returns), and counted when the call is left. No pointer outlives the event in which it was read, and none leaves
 * the kernel: a file is known by device, inode and generation. Rows are kept in two sides, as all that is counted is.
 */

#define FILE_TEXT 1024 /* bytes of a path that are kept, and then one more name of it */
#define FAILED_PATH 232
#define PATH_MAX 4096
#define OF_TWO (FAILED_PATH / 2)
#define SLOW_PATH 104
#define SLOWEST 5
#define CROWDED 1024
#define ADDRESS 128 /* sizeof(struct sockaddr_storage) */
#define GIVEN 256
#define SOCKFS 0x534F434B
#define OVERLAYFS 0x794C7630
#define S_IFREG 0100000
#define AT_ROOT (-101) /* a number of ours: the root of a process that has changed it (chroot) */
#define EINPROGRESS 115
#define SETTLED 0xFFFFFFFF
#define PEERS 0xF0000000
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5

/* What a call does; the same in file_calls.py, which also says which arguments it does that by. */
enum {
    READS = 1,
    WRITES = 2,
    OPENS = 4,       /* its result is a descriptor */
    HAS_FILE = 8,    /* argument `class >> 12 & 3` is one */
    HAS_SECOND = 16, /* argument `class >> 14 & 3` is another, which is written to */
    HAS_BYTES = 32,  /* its result is their number */
    HAS_PATH = 64,   /* argument `class >> 16 & 3`, or (FIFTH) 4 */
    HAS_FOLDER = 128, /* the argument before the path: a descriptor that the path may begin at */
    FIFTH = 3 << 16,
    HAS_ADDRESS = 256, /* arguments 1 and 2: a socket's address and its length */
    HAS_PEER = 1024, /* arguments 4 and 5: an address and its length, or (MESSAGE) argument 1 a struct msghdr with them */
    BINDS = 2048,    /* that address is to be the socket's own, else its peer's */
    MESSAGE = 1 << 16, /* as of a path: about->text */
    MAKES_TWO = 1 << 18, /* descriptors, told in memory: at argument 0, or (FOURTH) 3 */
    FOURTH = 1 << 16,
    HAS_OTHER = 512, /* after the path another, and before that, with HAS_FOLDER, a folder of its own */
    /* How it has ended. */
    FAILED = 1 << 20,
    RETURNED = 1 << 21,
    OPENED = 1 << 22,
    LOOKS = 1 << 23,
};

struct identity {
    u64 inode;
    u32 device;
    u32 generation; /* inode numbers are given out again after an unlink */
};

struct file_key {
    u32 where; /* side and tgid, as in ROW_KEY */
    u32 pad;
    struct identity file;
};

struct file_row {
    u64 opens, reads, writes, read_bytes, write_bytes, time_ns, errors, blocked_ns;
};

struct file_name {
    u32 magic; /* of its file system */
    u32 rdev;
    u16 mode, family, type, protocol, local_port, remote_port;
    u8 complete, deleted; /* complete: enum path_end */
    u16 again; /* a datagram socket that has had another peer */
    u32 length;    /* of the names in `text`, each with its NUL, the innermost first; */
    u32 of_peer;   /* of a unix socket the length of its own address there, and of its peer's, 128 bytes further on */
    char local[16], remote[16];
    char text[FILE_TEXT + PATH_PIECE];
};
#define FILE_NAME_HEAD 64

struct failed_path {
    u32 where; /* side */
    s16 length; /* with its NUL, or as long as there is room; below 0: it could not be read */
    s16 other;  /* the same of the second of two paths, which is in the second half; 0: there is none */
    u16 nr;
    u16 error;
    u32 apart; /* 1: the second begins at another folder, which is not told; 2: `folder` is what begins with a slash below */
    struct identity folder; /* that what does not begin at the root begins at */
    char path[FAILED_PATH];
};

struct slow {
    u64 time_ns;
    u64 at_ns;
    u32 tgid;
    s32 length;
    struct identity file;
    char path[SLOW_PATH];
};

struct slowest {
    u64 least; /* the place of the one that goes next */
    struct slow each[SLOWEST];
};

/*
 * What the call is about that a task is in; kept here alone, so it is what the kernel side has found itself. What is
 * found out at the exit of a call is kept here as well, and read from here each time (DOES): the verifier knows nothing
 * of what is in a map, and so follows one way to each line instead of one for each combination of answers.
 */
struct about {
    u32 tid;
    u32 class;
    s32 nr;
    s32 folder;
    s32 descriptor; /* its first argument */
    s32 at; /* the descriptor that `look` looks at, AT_FDCWD or AT_ROOT */
    u64 text; /* address of its path or socket address, in user space */
    u64 size;
    s64 result;
    struct identity file, second;
    struct identity looked; /* at its exit: what it has opened, or the folder that its failing path begins at */
    struct identity named[4]; /* by descriptor, the last one of which the name was known */
    u64 blocked_ns; /* how long its thread had been blocked when it entered the call, see struct clock */
};

/* Of task->about: a call has a `struct about`; and a path or an address, which is told when it blocks. */
enum { ABOUT = 1, GIVES = 2 };

/* The path or the address that a call was given in which a thread blocks. */
struct given {
    u64 since_ns; /* which call of that thread */
    s64 length;   /* as of struct failed_path */
    char text[GIVEN];
};

enum turned_away { NO_FILE, NO_NAME, NO_PATH, NO_SLOW, NO_ABOUT, UNTOLD, NOT_NATIVE, TURNED_AWAY };

BPF_TABLE("hash", struct file_key, struct file_row, files, FILES);
BPF_TABLE("hash", struct identity, struct file_name, file_names, FILE_NAMES);
BPF_TABLE("hash", struct failed_path, u64, failed_paths, FAILED_PATHS);
BPF_TABLE("hash", u64, struct slowest, slow_calls, SLOW_CALLS);
BPF_TABLE("array", u32, u64, slow_bars, NUMBERS); /* a call that took less is none of the slowest */
BPF_TABLE("percpu_array", u32, u64, turned_away, TURNED_AWAY);
BPF_TABLE("lru_hash", u32, struct given, givens, GIVENS); /* by tid */
BPF_TABLE("array", u32, struct about, abouts, SLOTS + CROWDED); /* handed over frozen; the last ones by CPU, see `about_of` */
/* Not handed over from here on. */
BPF_TABLE("array", u32, u32, classes, NUMBERS); /* the last one: the device of anonymous inodes */
BPF_TABLE("lru_hash", u32, struct about, crowded_abouts, TASKS);
BPF_TABLE("lru_hash", struct identity, u32, named, NAMED); /* SETTLED, from PEERS on by its peer, or the epoch in which it had no address */
BPF_TABLE("percpu_array", u32, struct file_name, name_draft, 1);
BPF_TABLE("percpu_array", u32, struct failed_path, path_draft, 1);
BPF_TABLE("percpu_array", u32, struct given, given_draft, 1);
BPF_TABLE("array", u32, struct slowest, none_slow, 1);

#define CLASS (*(volatile u32 *)&about->class)
#define DOES(bits) (CLASS & (bits)) /* any of them */
#define DOES_ALL(bits) (DOES(bits) == (bits))
/*
 * The same of what is a struct of that type, if of anything: a number of BTF, by which the verifier takes it for one that
 * may have gone, and lets it be loaded from as probe_read_kernel would read it. The call of bpf_rdonly_cast is a move.
 */
#ifdef RDONLY_CAST
#define AS(type, address)                                                                                              \
    ({                                                                                                                 \
        void *(*cast_)(void *, u64) = (void *)RDONLY_CAST;                                                             \
        (char *)cast_((void *)(address), type);                                                                        \
    })
#define LOAD(type, base, offset) (*(type *)((char *)(base) + (offset)))
#else
#define AS(type, address) ((char *)(address))
#define LOAD READ
#endif

static __always_inline void turn_away(u32 reason)
{
    u64 *count = turned_away.lookup(&reason);
    if (count)
        *count += 1;
}


/* Its super block is returned. */
static __always_inline char *identify(struct identity *identity, char *at_inode, char *path)
{
    char *inode = AS(TYPE_INODE, at_inode);
#if !defined(RDONLY_CAST) && OFF_INO - OFF_SB >= 8 && OFF_INO - OFF_SB <= 64 /* two in one go */
    struct {
        char *sb;
        char between[OFF_INO - OFF_SB - 8];
        u64 number;
    } part = {};
    bpf_probe_read_kernel(&part, sizeof(part), inode + OFF_SB);
    char *sb = part.sb;
    identity->inode = part.number;
#else
    char *sb = LOAD(char *, inode, OFF_SB);
    identity->inode = LOAD(u64, inode, OFF_INO);
#endif
    identity->generation = LOAD(u32, inode, OFF_GENERATION);
    u32 device = LOAD(u32, sb, OFF_S_DEV), last = NUMBERS - 1, *anonymous = classes.lookup(&last);
    identity->device = device;
    if (anonymous && *anonymous == device) { /* they share one inode: their names tell the kinds apart */
        char *dentry = READ(char *, path, OFF_DENTRY);
        bpf_probe_read_kernel(&identity->inode, 8, READ(char *, dentry, OFF_DNAME));
    }
    return sb;
}

/* The struct file of a descriptor of the running task; 0 if there is none. */
static __always_inline char *file_of(struct self *self, u32 descriptor)
{
    char *table = OWN(char *, MINE(files, OFF_FILES), OFF_FDT);
    if (descriptor >= OWN(u32, table, OFF_MAX_FDS))
        return 0;
    char *files = OWN(char *, table, OFF_FDS);
    return LOAD(char *, AS(TYPE_POINTER, files + 8 * (u64)descriptor), 0);
}

/*
 * An overlay's file has the number of a file below it, which is given out again or is another's in another layer, and no
 * generation: those of the file below, as it was opened, tell it. Whoever is told it sees the overlay's device.
 */
static __always_inline void identify_below(struct identity *identity, char *file)
{
    char *real = READ(char *, file, OFF_PRIVATE);
#ifdef OVERLAY_FILE
    real = READ(char *, real, 0);
#endif
    char *below = READ(char *, real, OFF_F_INODE);
    u64 number = READ(u64, below, OFF_INO);
    if (!number)
        return;
    identity->inode = number;
    identity->generation = READ(u32, below, OFF_GENERATION) ^ READ(u32, READ(char *, below, OFF_SB), OFF_S_DEV) * 0x9E3779B1;
}

static __always_inline void identify_file(struct identity *identity, char *file)
{
    if (!file) {
        identity->device = 0;
        return;
    }
    char *inode = LOAD(char *, AS(TYPE_FILE, file), OFF_F_INODE);
    char *sb = identify(identity, inode, file + OFF_F_PATH);
    if (identity->generation || (u32)LOAD(u64, sb, OFF_S_MAGIC) != OVERLAYFS)
        return;
    if ((READ(u16, inode, OFF_MODE) >> 12) == S_IFREG >> 12) /* directories have numbers of their own */
        identify_below(identity, file);
}

static __always_inline u32 unix_address(char *sk, char *text)
{
#if defined(OFF_UNIX_ADDR) && defined(OFF_UNIX_LENGTH) && defined(OFF_UNIX_NAME)
    char *address = READ(char *, sk, OFF_UNIX_ADDR);
    if (!address)
        return 0;
    u64 length = READ(u32, address, OFF_UNIX_LENGTH);
    if (length <= 110 && READ_AT_MOST(110, bpf_probe_read_kernel, text, length, address + OFF_UNIX_NAME) == 0)
        return length;
#endif
    return 0;
}

static __always_inline void take_socket(struct file_name *name, char *file)
{
    char *socket = READ(char *, file, OFF_PRIVATE), *sk = READ(char *, socket, OFF_SK);
    name->type = READ(u16, socket, OFF_SOCKET_TYPE);
    name->family = READ(u16, sk, OFF_FAMILY);
    name->protocol = READ(u16, sk, OFF_PROTOCOL);
    name->local_port = READ(u16, sk, OFF_LOCAL_PORT);
    name->remote_port = __builtin_bswap16(READ(u16, sk, OFF_REMOTE_PORT));
    if (name->family == 1) { /* AF_UNIX */
        name->length = unix_address(sk, name->text);
#ifdef OFF_UNIX_PEER
        char *peer = READ(char *, sk, OFF_UNIX_PEER);
        if (peer)
            name->of_peer = unix_address(peer, name->text + ADDRESS);
#endif
    } else if (name->family == 2) {
        bpf_probe_read_kernel(name->local, 4, sk + OFF_LOCAL_4);
        bpf_probe_read_kernel(name->remote, 4, sk + OFF_REMOTE_4);
    }
#if defined(OFF_LOCAL_6) && defined(OFF_REMOTE_6)
    else if (name->family == 10) {
        bpf_probe_read_kernel(name->local, 16, sk + OFF_LOCAL_6);
        bpf_probe_read_kernel(name->remote, 16, sk + OFF_REMOTE_6);
    }
#endif
}

static __always_inline int is_settled(struct file_name *name)
{
    if (name->magic != SOCKFS || (name->family != 1 && name->family != 2 && name->family != 10))
        return 1;
    return name->local_port || name->length || name->of_peer;
}

/* What `named` has of a datagram socket with a peer; notes whether it has had another, which may have got more. */
static __always_inline u32 settled_on(struct identity *of, struct file_name *name)
{
    u64 *remote = (u64 *)name->remote;
    u64 mixed = (remote[0] ^ (remote[1] + name->remote_port) * 0x9E3779B97F4A7C15ULL) * 0x9E3779B97F4A7C15ULL;
    u32 now = PEERS | (mixed >> 37), *before = named.lookup(of);
    name->again = before && *before >= PEERS && *before != SETTLED && *before != now;
    return now;
}

/* What is at a path; of a file (else 0) that is its. A socket without an address is looked at again: it may get one. */
static __always_inline void take_name(struct identity *of, char *file, char *path)
{
    u32 zero = 0, seen = SETTLED;
    struct file_name *name = name_draft.lookup(&zero);
    if (!name)
        return;
    __builtin_memset(name, 0, FILE_NAME_HEAD);
    char *dentry = READ(char *, path, OFF_DENTRY);
    char *inode = READ(char *, dentry, OFF_D_INODE);
    name->magic = READ(u64, READ(char *, inode, OFF_SB), OFF_S_MAGIC);
    name->mode = READ(u16, inode, OFF_MODE);
    name->rdev = READ(u32, inode, OFF_RDEV);
    if (name->magic == SOCKFS && file)
        take_socket(name, file);
    else {
        name->complete = take_path(path, name->text, &name->length, FILE_TEXT);
        name->deleted = is_deleted(dentry);
    }
    if (name->magic == SOCKFS && name->type == SOCK_DGRAM && name->remote_port)
        seen = settled_on(of, name);
    if (!is_settled(name)) {
        seen = current_epoch();
        if (named.lookup(of)) { /* it has been told */
            named.update(of, &seen);
            return;
        }
    }
    if (file_names.update(of, name))
        turn_away(NO_NAME);
    else
        named.update(of, &seen);
}

static __always_inline int is_named(struct about *about, struct identity *file, u32 descriptor)
{
    struct identity *known = &about->named[descriptor & 3];
    if (!file->device)
        return 1;
    if (known->inode == file->inode && known->device == file->device && known->generation == file->generation)
        return 1;
    u32 *seen = named.lookup(file);
    if (!seen)
        return 0;
    if (*seen < PEERS)
        return *seen == current_epoch();
    *known = *file;
    return 1;
}

static __always_inline char *own_root(void)
{
    return READ(char *, bpf_get_current_task(), OFF_FS) + OFF_ROOT;
}

/* Whether a path that begins with a slash begins elsewhere than others' (chroot(2)). */
static __always_inline int has_own_root(void)
{
    char *root = own_root(), *mounted = READ(char *, root, OFF_PATH_MOUNT), *mount = mounted - OFF_MOUNT;
    return READ(char *, root, OFF_DENTRY) != READ(char *, mounted, OFF_MNT_ROOT) || READ(char *, mount, OFF_MNT_PARENT) != mount;
}

/* What the file of a descriptor, the current folder or the root is, and its name where that is not known; a socket may have another. */
static __always_inline void look(struct self *self, struct about *about)
{
    char *file = 0, *path;
    s32 at = *(volatile s32 *)&about->at;
    if (at == AT_FDCWD || at == AT_ROOT) {
        path = at == AT_ROOT ? own_root() : own_folder();
        identify(&about->looked, READ(char *, READ(char *, path, OFF_DENTRY), OFF_D_INODE), path);
    } else {
        if (!(file = file_of(self, at)))
            return;
        path = file + OFF_F_PATH;
        identify_file(&about->looked, file);
    }
    if (DOES(HAS_ADDRESS) || !is_named(about, &about->looked, at))
        take_name(&about->looked, file, path);
}

/*
 * Where it is kept what the running task's call is about: in its slot's place. Those whose slot is another's have theirs
 * in crowded_abouts, which is brought here, to the place of this CPU, and written back; all the rest knows one map alone.
 */
static __always_inline struct about *about_of(struct self *self, int enters)
{
    struct slot *slot = self->slot;
    u32 index = self->tid & (SLOTS - 1);
    if (!slot)
        return 0;
    if (slot->tid == self->tid)
        return abouts.lookup(&index);
    index = SLOTS + bpf_get_smp_processor_id();
    struct about *about = abouts.lookup(&index), *kept;
    if (!enters && about && (kept = crowded_abouts.lookup(&self->tid)))
        *about = *kept;
    return about;
}

/* A call that has found no row is in none of these tables, either. */
static __always_inline void miss_files(u8 abi, u32 nr)
{
    u32 *known = classes.lookup(&nr);
    if (abi == NATIVE && nr < NUMBERS - 1 && known && *known)
        turn_away(NO_ABOUT);
}

static __always_inline void enter_files(u64 place, struct self *self, struct task *task)
{
    u32 index = task->nr, *known = classes.lookup(&index);
    task->about = 0;
    if (task->abi != NATIVE) /* their arguments are elsewhere, their numbers others */
        turn_away(NOT_NATIVE);
    if (!known || !*known || index >= NUMBERS - 1 || task->abi != NATIVE)
        return;
    u32 class = *known;
    if (!may_tell(self)) {
        struct account *account = accounts.lookup(&task->tgid);
        if (!account || !account->held) /* else it is what the command is made of, which may not be traced */
            turn_away(UNTOLD);
        return;
    }
    char *registers = own_registers(place);
    struct about *about = registers ? about_of(self, 1) : 0;
    if (!about) {
        turn_away(NO_ABOUT);
        return;
    }
    u64 first = REGISTER(u64, registers, OFF_ARG_0), second = REGISTER(u64, registers, OFF_ARG_1);
    u64 third = REGISTER(u64, registers, OFF_ARG_2);
#define ARGUMENT(shift) (DOES(3 << (shift)) == 0 ? first : DOES(2 << (shift)) ? third : second)
    about->tid = self->tid;
    about->class = class;
    task->about = DOES(HAS_PATH | HAS_ADDRESS) ? ABOUT | GIVES : ABOUT;
    about->nr = task->nr;
    about->text = DOES(HAS_ADDRESS) ? second : ARGUMENT(16);
    about->size = third;
    if (DOES_ALL(MAKES_TWO | FOURTH))
        about->text = REGISTER(u64, registers, OFF_ARG_3);
    if (DOES_ALL(HAS_PATH | FIFTH))
        about->text = REGISTER(u64, registers, OFF_ARG_4);
    if (DOES(HAS_PEER) && DOES(WRITES) && DOES(MESSAGE))
        task->about = ABOUT | GIVES;
    else if (DOES(HAS_PEER) && DOES(WRITES)) {
        about->text = REGISTER(u64, registers, OFF_ARG_4);
        about->size = REGISTER(u64, registers, OFF_ARG_5);
        if (about->text)
            task->about = ABOUT | GIVES;
    }
    about->descriptor = first;
    about->folder = !DOES(HAS_FOLDER) ? AT_FDCWD : DOES_ALL(FIFTH) ? REGISTER(u64, registers, OFF_ARG_3) : DOES(2 << 16) ? second : first;
    about->at = -1;
    about->blocked_ns = task->clock.blocked_ns;
    about->file.device = about->second.device = 0;
    if (DOES(HAS_FILE))
        identify_file(&about->file, file_of(self, ARGUMENT(12)));
    if (DOES(HAS_SECOND)) {
        identify_file(&about->second, file_of(self, ARGUMENT(14)));
        if (!is_named(about, &about->second, ARGUMENT(14)))
            about->at = ARGUMENT(14);
    }
    if (!is_named(about, &about->file, ARGUMENT(12)))
        about->at = ARGUMENT(12);
    if (*(volatile s32 *)&about->at >= 0)
        look(self, about);
    if (self->slot && self->slot->tid != self->tid)
        crowded_abouts.update(&self->tid, about);
}

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

/* The address that a struct msghdr leads to, and its length; both 0 where there is none. */
static __always_inline void read_message(struct about *about, u64 *address, u32 *length)
{
    *address = *length = 0;
    read_user(address, sizeof(*address), (void *)about->text);
    read_user(length, sizeof(*length), (void *)(about->text + 8));
}

/*
 * Of a datagram by address, and of a socket that was not connected or bound: the file becomes that socket with that
 * address, which has a row and a name of its own. The address is what was given, or what the kernel has written where a
 * datagram was received.
 */
static __always_inline void find_peer(struct self *self, struct about *about, u64 place)
{
    u32 zero = 0, seen = SETTLED, length = about->size;
    u64 address = about->text;
    char *registers = own_registers(place), *socket;
    struct file_name *name = name_draft.lookup(&zero);
    if (!name || !registers)
        return;
    u64 *given = (u64 *)(name->text + 2 * ADDRESS); /* of bytes it would be cleared and copied byte by byte */
    __builtin_memset(given, 0, ADDRESS);
    if (DOES(MESSAGE)) {
        read_message(about, &address, &length);
    } else if (DOES(READS)) {
        address = REGISTER(u64, registers, OFF_ARG_4);
        length = 0;
        read_user(&length, sizeof(length), (void *)REGISTER(u64, registers, OFF_ARG_5));
    }
    u64 mixed = about->file.inode ^ DOES(BINDS);
    if (!address || length <= 2 || length > ADDRESS || READ_AT_MOST(ADDRESS, read_user, given, length, address))
        return;
#pragma unroll
    for (int at = 0; at < ADDRESS / 8; at++)
        mixed = (mixed ^ given[at]) * 0x9E3779B97F4A7C15ULL, mixed ^= mixed >> 29;
    struct identity peer = {.inode = mixed | 1ULL << 63, .device = about->file.device, .generation = about->file.generation}, same;
    if (named.lookup(&peer)) {
        about->file = peer;
        return;
    }
    if (!(socket = file_of(self, about->descriptor)))
        return;
    identify_file(&same, socket);
    __builtin_memset(name, 0, FILE_NAME_HEAD);
    name->magic = READ(u64, READ(char *, LOAD(char *, AS(TYPE_FILE, socket), OFF_F_INODE), OFF_SB), OFF_S_MAGIC);
    if (same.inode != about->file.inode || same.device != about->file.device || name->magic != SOCKFS)
        return;
    take_socket(name, socket);
    if (name->family != *(u16 *)given)
        return;
    if (!DOES(HAS_ADDRESS) && (name->type == SOCK_STREAM || name->type == SOCK_SEQPACKET))
        return;
    name->mode = READ(u16, LOAD(char *, AS(TYPE_FILE, socket), OFF_F_INODE), OFF_MODE);
    if (name->family == 1) {
        name->of_peer = length;
        __builtin_memcpy((u64 *)(name->text + ADDRESS), given, ADDRESS);
    } else {
        u16 port = __builtin_bswap16(*((u16 *)given + 1));
        u32 *whose = DOES(BINDS) ? (u32 *)name->local : (u32 *)name->remote;
        if (DOES(BINDS))
            name->local_port = port;
        else
            name->remote_port = port;
        __builtin_memcpy(whose, (u32 *)given + (name->family == 2 ? 1 : 2), 16);
    }
    if (file_names.update(&peer, name)) {
        turn_away(NO_NAME);
        return;
    }
    named.update(&peer, &seen);
    about->file = peer;
}

/*
 * The path or the address that the running task's call was given, for what a thread is in: when it blocks; of an
 * exec when it begins, for by then its memory may be that of another program.
 */
static __always_inline void give(struct self *self, struct task *task)
{
    u32 zero = 0;
    struct about *about = about_of(self, 0);
    struct given *given = given_draft.lookup(&zero);
    task->about = ABOUT;
    if (!about || !given || about->tid != self->tid || about->nr != task->nr || !may_tell(self))
        return;
    given->since_ns = task->since_ns;
    given->length = -1;
    if (DOES(HAS_PATH))
        given->length = read_user_str(given->text, GIVEN, (void *)about->text);
    else {
        u64 address = about->text;
        u32 size = about->size;
        if (DOES(HAS_PEER) && DOES(MESSAGE))
            read_message(about, &address, &size);
        if (size <= ADDRESS && READ_AT_MOST(ADDRESS, read_user, given->text, size, address) == 0)
            given->length = size;
    }
    givens.update(&self->tid, given);
}

/* Two descriptors that were made: the first is to be looked at. Of two sockets the second is not the same file. */
static __always_inline void find_two(struct self *self, struct about *about)
{
    u32 zero = 0, two[2] = {}, seen = current_epoch();
    if (read_user(two, sizeof(two), (void *)about->text))
        return;
    about->at = two[0];
    about->class |= LOOKS;
    char *file = file_of(self, two[1]);
    struct file_name *name = name_draft.lookup(&zero);
    identify_file(&about->second, file);
    if (!file || !name || !DOES(FOURTH))
        return;
    __builtin_memset(name, 0, FILE_NAME_HEAD);
    name->magic = SOCKFS;
    name->mode = READ(u16, LOAD(char *, AS(TYPE_FILE, file), OFF_F_INODE), OFF_MODE);
    take_socket(name, file);
    if (file_names.update(&about->second, name))
        turn_away(NO_NAME);
    else
        named.update(&about->second, &seen);
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
