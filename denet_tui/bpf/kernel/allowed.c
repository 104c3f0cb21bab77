/*
 * What may be told to the user who watches: of which user's tasks anything, and of which tasks files and paths.
 */

/*
 * Who reads the maps may see what this user does and nothing of others, whatever it writes into them. Asked for all
 * that is recorded: calls, forks, names, command lines, exit statuses. `cred` is the running task's.
 */
static __always_inline int is_allowed(char *cred)
{
#ifndef ONLY_UID
    return 1;
#elif defined(TASK_BTF) && defined(OFF_CRED) && defined(OFF_UID) /* two loads in the place of a call, at each event */
    return *(u32 *)(cred + OFF_UID) == ONLY_UID;
#else
    return (u32)bpf_get_current_uid_gid() == ONLY_UID;
#endif
}

static __always_inline void note_own(u32 tid)
{
#ifdef ONLY_UID
    u8 one = 1;
    own.update(&tid, &one);
#endif
}

/* Whether this task, which is another user's now, was this user's until now: said once, as what is not counted. */
static __always_inline int has_left(u32 tid)
{
#ifdef ONLY_UID
    if (own.delete(&tid) == 0) {
        lose(current_epoch(), FOREIGN);
        return 1;
    }
#endif
    return 0;
}

/* Whether this task was another user's until now: the call by which it has come back was not this user's. */
static __always_inline int has_come_back(u32 tid)
{
#ifdef ONLY_UID
    if (!own.lookup(&tid)) {
        note_own(tid);
        return 1;
    }
#endif
    return 0;
}

#define MMF_DUMPABLE 3 /* include/linux/sched/coredump.h; 1 is SUID_DUMP_USER */

/*
 * Whether the running task's files and paths may be told to denet-tui: what ptrace(2) asks, too. A setuid program
 * that this user has started is this user's by its real uid alone; a setgid one, and one with capabilities, by its
 * uids. The capabilities are read by halves: before Linux 6.3 they are an array of two. In a user namespace, right below
 * the first one, that this user has made they are this user's as well (man 7 user_namespaces); in any other nothing is.
 */
static __always_inline int may_tell(struct self *self)
{
#ifndef ONLY_UID
    return 1;
#elif defined(OFF_CRED) && defined(OFF_EUID) && defined(OFF_SUID) && defined(OFF_GID) && defined(OFF_EGID) &&           \
    defined(OFF_SGID) && defined(OFF_PERMITTED) && defined(OFF_MM) && defined(OFF_MM_FLAGS)
    char *cred = MINE(cred, OFF_CRED), *mm = MINE(mm, OFF_MM);
    if (OWN(u32, cred, OFF_EUID) != ONLY_UID || OWN(u32, cred, OFF_SUID) != ONLY_UID)
        return 0;
    u32 gid = OWN(u32, cred, OFF_GID);
    if (OWN(u32, cred, OFF_EGID) != gid || OWN(u32, cred, OFF_SGID) != gid)
        return 0;
    u32 capable = OWN(u32, cred, OFF_PERMITTED) | OWN(u32, cred, OFF_PERMITTED + 4);
#if defined(OFF_USER_NS) && defined(OFF_NS_OWNER) && defined(OFF_NS_LEVEL)
    char *namespace = OWN(char *, cred, OFF_USER_NS);
    u32 level = READ(u32, namespace, OFF_NS_LEVEL);
    if (level) {
        if (level != 1 || READ(u32, namespace, OFF_NS_OWNER) != ONLY_UID)
            return 0;
        capable = 0;
    }
#endif
    if (capable)
        return 0;
    return (READ(u64, mm, OFF_MM_FLAGS) & MMF_DUMPABLE) == 1;
#else
    return 0;
#endif
}
