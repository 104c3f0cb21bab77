/*
 * Work that real programs do, in a known amount: `work files N` opens, reads and closes N files, of which every fourth is
 * not there; `work pingpong N` sends a byte to another process and back N times; `work many N` is N processes that each
 * make 24 kinds of calls, again and again, until the first one is ended.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void files(long rounds)
{
    char byte;
    for (long i = 0; i < rounds; i++) {
        int file = open(i % 4 == 3 ? "/etc/no-such-file" : "/etc/passwd", O_RDONLY);
        if (file < 0)
            continue;
        if (read(file, &byte, 1) != 1)
            exit(1);
        close(file);
    }
}

static void pingpong(long rounds)
{
    int there[2], back[2];
    char byte = 0;
    if (pipe(there) || pipe(back))
        exit(1);
    int answers = fork() == 0;
    int from = answers ? there[0] : back[0], to = answers ? back[1] : there[1];
    for (long i = 0; i < rounds; i++) {
        if (!answers && write(to, &byte, 1) != 1)
            exit(1);
        if (read(from, &byte, 1) != 1)
            exit(1);
        if (answers && write(to, &byte, 1) != 1)
            exit(1);
    }
}

static void many(long processes)
{
    static const int kinds[] = {
        SYS_getpid, SYS_getuid, SYS_getgid, SYS_geteuid, SYS_getegid, SYS_getppid, SYS_getpgrp, SYS_gettid,
        SYS_sched_yield, SYS_umask, SYS_alarm, SYS_getpgid, SYS_getsid, SYS_personality, SYS_sched_getscheduler,
        SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_munlockall, SYS_times, SYS_time, SYS_getpriority,
        SYS_getrandom, SYS_membarrier};
    for (long i = 1; i < processes; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    for (;;) {
        for (unsigned long i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
            syscall(kinds[i], 0L, 0L, 0L);
        usleep(400000);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long rounds = atol(argv[2]);
    if (!strcmp(argv[1], "files"))
        files(rounds);
    else if (!strcmp(argv[1], "pingpong"))
        pingpong(rounds);
    else
        many(rounds);
    return 0;
}
