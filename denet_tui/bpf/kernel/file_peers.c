/*
 * Peers by address, of datagrams and of connections that are made; and pairs of descriptors.
 */

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
