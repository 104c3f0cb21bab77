/*
 * Makes system calls on request: reads how many and what kind (0: getppid, 1: close of a descriptor that is not open,
 * 2: read of a byte of /dev/zero, 3: openat of what is not there), prints ns of this thread's CPU time per call. That
 * leaves out what others take of the CPU, on a busy machine too. Kind 4 sends a byte to another process on the same CPU and
 * back, and that process's time is in it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static double pingpong(long rounds)
{
    int there[2], back[2];
    char byte = 0;
    cpu_set_t one, all;
    struct rusage used;
    sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    if (pipe(there) || pipe(back))
        exit(1);
    if (!fork()) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    close(there[0]);
    double before = now();
    for (long i = 0; i < rounds; i++)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            exit(1);
    double spent = now() - before;
    close(there[1]);
    close(back[0]);
    close(back[1]);
    wait4(-1, 0, 0, &used);
    sched_setaffinity(0, sizeof(all), &all);
    return spent + (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

int main(void)
{
    char byte;
    int zero = open("/dev/zero", O_RDONLY);
    long calls, kind;
    const struct {
        long number, first, second;
    } kinds[] = {
        {SYS_getppid},
        {SYS_close, -1},
        {SYS_read, zero, (long)&byte},
        {SYS_openat, AT_FDCWD, (long)"/nowhere/at/all"},
    };
    while (scanf("%ld %ld", &calls, &kind) == 2) {
        if (kind == 4) {
            printf("%f\n", pingpong(calls) / calls);
            fflush(stdout);
            continue;
        }
        double before = now();
        for (long i = 0; i < calls; i++)
            syscall(kinds[kind].number, kinds[kind].first, kinds[kind].second, kind == 2);
        printf("%f\n", (now() - before) / calls);
        fflush(stdout);
    }
    return 0;
}
