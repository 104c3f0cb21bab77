/*
 * What a folder or a file is called, name by name up to the root of all mounts: where this kernel's BTF tells where
 * the names are.
 */

#define AT_FDCWD (-100)

#if defined(OFF_FS) && defined(OFF_PWD) && defined(OFF_PATH_MOUNT) && defined(OFF_DENTRY) && defined(OFF_DPARENT) &&     \
    defined(OFF_DNAME) && defined(OFF_MOUNT) && defined(OFF_MNT_PARENT) && defined(OFF_MNT_POINT) && defined(OFF_MNT_ROOT) &&   \
    defined(OFF_D_HASH)
#define PATHS
#define PATH_PIECE 256 /* NAME_MAX and a NUL */
#define PATH_STEPS 32  /* names and mount points on the way to the root */

enum path_end { CUT, FROM_ROOT, IN_NO_FOLDER /* pipes, anonymous inodes */ };

/* As d_unlinked() of the kernel has it: roots of file systems are not hashed, either. */
static __always_inline int is_deleted(char *dentry)
{
    return READ(u64, dentry, OFF_D_HASH + 8) == 0 && READ(char *, dentry, OFF_DPARENT) != dentry;
}

/*
 * The names of a struct path, the innermost first, each with its NUL; `length`, which is kept in a map, is that of all of
 * them, and begins at 0. Of `text` the first `room` bytes and one more name are written to.
 */
static __always_inline u32 take_path(char *path, char *text, u32 *length, u64 room)
{
    char *mounted = READ(char *, path, OFF_PATH_MOUNT), *dentry = READ(char *, path, OFF_DENTRY);
    char *mount = mounted - OFF_MOUNT, *root = READ(char *, mounted, OFF_MNT_ROOT);
    *length = 0;
#pragma unroll
    for (int step = 0; step < PATH_STEPS; step++) {
        if (dentry == root) {
            char *above = READ(char *, mount, OFF_MNT_PARENT);
            if (above == mount || !above)
                return FROM_ROOT;
            dentry = READ(char *, mount, OFF_MNT_POINT);
            mount = above;
            root = READ(char *, mount, OFF_MOUNT + OFF_MNT_ROOT);
            continue;
        }
        char *parent = READ(char *, dentry, OFF_DPARENT);
        if (parent == dentry && step)
            break;
        char *name = READ(char *, dentry, OFF_DNAME);
        u64 at = *(volatile u32 *)length; /* out of the map each time: then the verifier follows one way, not one a length */
        asm volatile("" : "+r"(at)); /* or clang drops the bound; no call may come in between: before 6.2 that loses it */
        if (at > room)
            break;
        long size = bpf_probe_read_kernel_str(text + at, PATH_PIECE, name);
        if (size <= 0 || size > PATH_PIECE)
            break;
        *length = at + size;
        if (parent == dentry)
            return IN_NO_FOLDER;
        dentry = parent;
    }
    return CUT;
}

static __always_inline char *own_folder(void)
{
    return READ(char *, bpf_get_current_task(), OFF_FS) + OFF_PWD;
}
#endif
