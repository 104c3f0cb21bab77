/*
 * What files and sockets are called, told once each; and which of them a call leads to.
 */

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
