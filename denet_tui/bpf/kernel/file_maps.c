/*
 * What the calls of watched tasks are about: bytes and time by file, failing paths, and the slowest calls. All files of
 * that are compiled where DETAIL_FILES is defined; the numbers in `classes` come from file_calls.py. Here: what is
 * kept.
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
