/*
 * Only what runs in one cgroup of the second version, or below it, is watched: looked at when a task is enrolled, and
 * when a watched one forks, never at a call. What moves in is watched from its next call on; what moves out stays
 * watched, and what it forks from then on is not.
 */

struct chosen_cgroup {
    u64 id;    /* the inode of its folder (struct kernfs_node) */
    u32 level; /* of it, below the root */
    u32 pad;
};
BPF_TABLE("array", u32, struct chosen_cgroup, cgroup, 1);

static __always_inline int is_inside(u64 task)
{
    u32 zero = 0;
    struct chosen_cgroup *chosen = cgroup.lookup(&zero);
    if (!chosen)
        return 0;
    u64 group = READ(u64, READ(u64, task, OFF_CGROUPS), OFF_DFL_CGRP);
    u32 level = *(volatile u32 *)&chosen->level; /* once: a process that reads the maps may write to them, too */
    if (level > READ(u32, group, OFF_CGROUP_LEVEL))
        return 0;
#ifdef OFF_ANCESTOR_IDS /* before Linux 6.1 */
    return READ(u64, group, OFF_ANCESTOR_IDS + 8 * (u64)level) == chosen->id;
#else
    u64 above = READ(u64, group, OFF_ANCESTORS + 8 * (u64)level);
    return READ(u64, READ(u64, above, OFF_CGROUP_KN), OFF_KERNFS_ID) == chosen->id;
#endif
}
