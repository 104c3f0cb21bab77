/* Processes whose time is known: each spends PART_S as its name says. Prints a line each: pid, name, CPU time in us. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PART_NS 200000000LL

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void spin(void)
{
    while (now(CLOCK_PROCESS_CPUTIME_ID) < PART_NS) /* a call: the vDSO does not know this clock */
        for (volatile int i = 0; i < 100000; i++)
            ;
}

static void pinned(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    spin();
}

static void sleeping(void)
{
    struct timespec part = {0, PART_NS};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &part, 0);
}

static int word = 1;

static void *holder(void *nothing)
{
    sleeping();
    __atomic_store_n(&word, 0, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0);
    return nothing;
}

static void locked(void)
{
    pthread_t other;
    pthread_create(&other, 0, holder, 0);
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &word, FUTEX_WAIT, 1, 0, 0, 0);
    pthread_join(other, 0);
}

static void calls(void)
{
    static char text[1 << 20];
    int random = open("/dev/urandom", O_RDONLY);
    while (now(CLOCK_PROCESS_CPUTIME_ID) < PART_NS)
        if (read(random, text, sizeof(text)) <= 0)
            exit(1);
}

int main(void)
{
    struct { const char *name; void (*run)(void); int pid; } parts[] = {
        {"spin", spin}, {"sleep", sleeping}, {"lock", locked}, {"calls", calls}, {"one", pinned}, {"other", pinned},
    };
    int number = sizeof(parts) / sizeof(*parts);
    for (int i = 0; i < number; i++)
        if (!(parts[i].pid = fork())) {
            prctl(PR_SET_NAME, parts[i].name);
            parts[i].run();
            exit(0);
        }
    for (int i = 0; i < number; i++) {
        struct rusage used;
        wait4(parts[i].pid, 0, 0, &used);
        printf("%d %s %ld\n", parts[i].pid, parts[i].name,
               (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    }
    return 0;
}
