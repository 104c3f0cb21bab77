/* Known numbers of calls, in the shapes that one test each needs: `calls SHAPE [NUMBER…]`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void times(long count, long number)
{
    for (long i = 0; i < count; i++)
        syscall(number, -1L, 0L, 0L, 0L, 0L, 0L);
}

static void wait_for_all(void)
{
    while (wait(0) > 0) {
    }
}

/* children N: 16 children at once that make N getpid calls in all. */
static void children(long total)
{
    for (int i = 0; i < 16; i++)
        if (fork() == 0) {
            times(total / 16 + (i < total % 16), SYS_getpid);
            _exit(0);
        }
    wait_for_all();
}

/* short N [US]: N processes one after the other, US apart, each with one getppid; every other one by vfork. */
static void short_lived(long count, long pause_us)
{
    for (volatile long i = 0; i < count; i++) {
        pid_t child = i % 2 ? fork() : vfork();
        if (child < 0)
            exit(1);
        if (child == 0) {
            syscall(SYS_getppid);
            _exit(0);
        }
        waitpid(child, 0, 0);
        if (pause_us)
            usleep(pause_us);
    }
}

static pid_t fork_as(pid_t wanted)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    return syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* One of two that take turns, a byte each way. */
static void in_turns(int rounds, int calls, int from, int to)
{
    char byte;
    for (int i = 0; i < rounds; i++) {
        if (read(from, &byte, 1) != 1)
            _exit(1);
        times(calls, SYS_getppid);
        if (write(to, "x", 1) != 1)
            _exit(1);
    }
    _exit(0);
}

/* twins: two children with pids 65,536 apart, alive at once, that make 200 times 5 and 200 times 8 calls in turns. */
static int twins(void)
{
    int left[2], right[2];
    if (pipe(left) || pipe(right) || write(left[1], "x", 1) != 1)
        return 1;
    for (pid_t pid = 31000; pid > 30000; pid--) {
        pid_t first = fork_as(pid);
        if (first < 0)
            continue;
        if (first == 0)
            in_turns(200, 5, left[0], right[1]);
        pid_t second = fork_as(pid + 65536);
        if (second == 0)
            in_turns(200, 8, right[0], left[1]);
        if (second < 0)
            kill(first, SIGKILL);
        wait_for_all();
        if (second < 0)
            return 2;
        printf("%d %d\n", first, second);
        return 0;
    }
    return 3;
}

/* reused: a process that lives for some ticks, at once another with its pid, and a child of that: 10 getppid. */
static int reused(void)
{
    for (pid_t pid = 30000; pid > 29000; pid--) {
        pid_t first = fork_as(pid);
        if (first < 0)
            continue;
        if (first == 0) {
            usleep(500000);
            _exit(0);
        }
        wait_for_all();
        pid_t second = fork_as(pid);
        if (second == 0) {
            usleep(500000);
            if (fork() == 0) {
                times(10, SYS_getppid);
                _exit(0);
            }
            wait_for_all();
            _exit(0);
        }
        wait_for_all();
        return second < 0 ? 2 : 0;
    }
    return 3;
}

static void *failing(void *count)
{
    for (long i = 0; i < (long)count; i++) {
        close(-1);
        if (open("/nonexistent", O_RDONLY) >= 0)
            abort();
        syscall(SYS_getpid);
    }
    return 0;
}

/* busy N: threads that fail, children that fork and thread, one that is killed; for the invariants. */
static void busy(long count)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, failing, (void *)count);
    for (int i = 0; i < 40; i++)
        if (fork() == 0) {
            pthread_t inside;
            pthread_create(&inside, 0, failing, (void *)(count / 20));
            if (i % 4 == 0)
                kill(getpid(), SIGKILL);
            if (i % 4 == 1)
                execl("/proc/self/exe", "calls", "nothing", NULL);
            pthread_join(inside, 0);
            exit(i);
        } else if (i % 8 == 7) {
            wait_for_all();
        }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    wait_for_all();
}

static void *pausing(void *result)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left behind when main is ended */
    while (pause() != 0) {
    }
    return result;
}

static void announce(void)
{
    if (write(1, "ready\n", 6) != 6)
        exit(1);
}

/* quiet: 3 threads and 2 children inside pause, main inside pause: 6 calls in flight for good. */
static void quiet(void)
{
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        if (fork() == 0)
            pausing(0);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, 0, pausing, 0);
    pausing(0);
}

/* crowd N: N processes inside pause, until this one is ended. */
static void crowd(long count)
{
    for (long i = 0; i < count; i++)
        if (fork() == 0)
            pausing(0);
    announce();
    wait_for_all();
}

static int gate[2];

/* Waits inside read, which was entered before anybody looked; then makes its calls. */
static void *at_the_gate(void *count)
{
    char byte;
    if (read(gate[0], &byte, 1) != 1)
        exit(1);
    times((long)count, SYS_getpgrp);
    return 0;
}

/*
 * gate: 3 threads and 2 children are inside read when `ready` is printed, and main is inside its read of stdin. A byte
 * there lets all go: threads make 100 getpgrp each, children 50, a new thread and a new child 7 each.
 */
static void behind_gate(void)
{
    pthread_t threads[3], late;
    char byte;
    if (pipe(gate))
        exit(1);
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            at_the_gate((void *)50L);
            _exit(0);
        }
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], 0, at_the_gate, (void *)100L);
    announce();
    if (read(0, &byte, 1) != 1 || write(gate[1], "xxxxxxx", 7) != 7)
        exit(1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], 0);
    wait_for_all();
    pthread_create(&late, 0, at_the_gate, (void *)7L);
    pthread_join(late, 0);
    if (fork() == 0) {
        at_the_gate((void *)7L);
        _exit(0);
    }
    wait_for_all();
}

/* abi: numbers and doors that are easily mixed up. */
static void abi(void)
{
    times(2, SYS_getpid);
    times(3, -1);
    times(5, 100000);
    times(6, 638);
    times(8, 639);
    times(9, 640);
#ifdef __x86_64__
    for (int i = 0; i < 11; i++) {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    }
    times(13, 0x40000000 + SYS_getpid);
    times(4, 0x40000000 + 630);
#endif
}

/* wanted: some calls that a filter asks for, many that it does not, before and after an exec. */
static void wanted(char *self, long left)
{
    times(21, SYS_getpid);
    times(400, SYS_getppid);
    close(socket(AF_UNIX, SOCK_STREAM, 0));
    times(17, SYS_recvfrom);
    if (left)
        execl(self, self, "wanted", "0", NULL);
}

int main(int argc, char **argv)
{
    const char *shape = argc > 1 ? argv[1] : "";
    long number = argc > 2 ? atol(argv[2]) : 0;
    if (!strcmp(shape, "children"))
        children(number);
    else if (!strcmp(shape, "short"))
        short_lived(number, argc > 3 ? atol(argv[3]) : 0);
    else if (!strcmp(shape, "twins"))
        return twins();
    else if (!strcmp(shape, "reused"))
        return reused();
    else if (!strcmp(shape, "busy"))
        busy(number);
    else if (!strcmp(shape, "quiet"))
        quiet();
    else if (!strcmp(shape, "crowd"))
        crowd(number);
    else if (!strcmp(shape, "gate"))
        behind_gate();
    else if (!strcmp(shape, "abi"))
        abi();
    else if (!strcmp(shape, "wanted"))
        wanted(argv[0], number);
    return 0;
}
