/*
 * Which file it is: of an inode and of a descriptor.
 */

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
