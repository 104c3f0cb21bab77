/*
 * Counts the system calls of watched processes, for denet-tui. The loader puts the files below in their places, and bcc
 * compiles all of it as one text; a file knows those above it.
 *
 * Reads no kernel struct by header: the offsets in the OFF_* and TP_* macros come from the running
 * kernel (BTF, tracefs format files), and the header shim in ../include is all that bcc needs.
 *
 * A call is counted when it is entered; its time, error and histogram when the same task leaves it.
 *
 * What a watched task forks is watched before it can run. What runs already enrols itself: a task that is not watched is
 * looked at once, at its next call, and again when user space raises the generation (see `enrol`).
 *
 * Everything that is counted is kept twice, in two sides. `epoch` says which side is written to.
 * User space turns the epoch and waits until no program still writes to the old side (see `grace`);
 * then that side is at rest, is read, and its rows are deleted. So every reading belongs to one
 * instant, the sums in it agree exactly, and maps hold only what happened since the last reading.
 */

#include "maps.c"
#include "reading.c"
#include "tasks.c"
#include "allowed.c"
#include "numbers.c"
#include "rows.c"

#ifdef BY_CGROUP
#include "cgroups.c"
#else
#define is_inside(task) 1
#endif

#if defined(DETAIL_EXECS) || defined(DETAIL_FILES)
#include "paths.c"
#endif

#ifdef DETAIL_EXECS
#include "execs.c"
#endif

#ifdef DETAIL_FILES
#include "file_maps.c"
#include "file_identity.c"
#include "file_names.c"
#include "file_peers.c"
#include "file_entry.c"
#include "failed_paths.c"
#include "slow_calls.c"
#include "file_counts.c"
#endif

#ifdef DETAIL_TIME
#include "times.c"
#endif

#include "processes.c"
#include "enrol.c"
#include "calls.c"
#include "accounts.c"

#ifdef PID_NAMESPACE
#include "namespaces.c"
#endif

#include "lives.c"
#include "tracepoints.c"
