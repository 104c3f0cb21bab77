/*
 * The programs: one for each tracepoint, by either way of attaching.
 */

/*
 * Each program looks at what it is given before it reads by it: only the kernel's own attaching can be meant.
 * All return 1: 0 would take the event away from all others that count it (trace_call_bpf in kernel/trace).
 */
#ifdef ATTACH_RAW
#define IS_CURRENT(task) ((u64)(task) == bpf_get_current_task())

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
    enter(ctx->args[0], ctx->args[1]);
    return 1;
}

int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
    leave(ctx, ctx->args[0], ctx->args[1]);
    return 1;
}

int on_task_newtask(struct bpf_raw_tracepoint_args *ctx)
{
    task_new((void *)ctx->args[0], 0, ctx->args[1]);
    return 1;
}

int on_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
    if (IS_CURRENT(ctx->args[0]))
        task_exec(ctx->args[1]);
    return 1;
}

int on_sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
    if (IS_CURRENT(ctx->args[0]))
        task_exit();
    return 1;
}

int on_sched_switch(struct bpf_raw_tracepoint_args *ctx)
{
    last_switch(); /* of the running task, whatever is given; first, for what is not kept any more has an end */
#ifdef TIMED
    switched(ctx->args[0], (char *)ctx->args[2]);
#endif
    return 1;
}

#ifdef BY_CGROUP
/* A task that has moved is looked at once more, as are all: a process moves with all its threads. */
int on_cgroup_attach_task(struct bpf_raw_tracepoint_args *ctx)
{
    u32 number = GENERATION, *generation = epoch.lookup(&number);
    if (generation)
        __sync_fetch_and_add(generation, 1);
    return 1;
}
#endif

#ifdef DETAIL_TIME
int on_sched_wakeup(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef TIMED
    woken((char *)ctx->args[0]);
#endif
    return 1;
}
#endif
#else
int on_sys_enter(void *ctx)
{
    enter(place_of(0, bpf_get_current_pid_tgid()), FIELD(s64, TP_ENTER_NR));
    return 1;
}

int on_sys_exit(void *ctx)
{
    leave(ctx, place_of(0, bpf_get_current_pid_tgid()), FIELD(s64, TP_EXIT_RESULT));
    return 1;
}

int on_task_newtask(void *ctx)
{
    task_new(0, FIELD(u32, TP_CHILD), FIELD(u64, TP_CLONE_FLAGS));
    return 1;
}

int on_sched_process_exec(void *ctx)
{
    task_exec(FIELD(u32, TP_OLD_PID));
    return 1;
}

int on_sched_process_exit(void *ctx)
{
    task_exit();
    return 1;
}

int on_sched_switch(void *ctx)
{
    last_switch();
    return 1;
}
#endif
