/* A deterministic workload for the comparison with strace: everything that is hard to count, a known number of times. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filtered.h"

static char *self;

static void call(long number, int times)
{
    for (int i = 0; i < times; i++)
        syscall(number, -1, 0, 0, 0, 0, 0);
}

static void finish(pid_t child)
{
    waitpid(child, 0, 0);
}

static void on_signal(int number)
{
    (void)number;
}

static void *count_in_thread(void *times)
{
    call(SYS_gettid, (long)times);
    return 0;
}

static volatile int about_to_pause;

static void *exec_in_thread(void *unused)
{
    (void)unused;
    while (about_to_pause < 2)
        ; /* strace lets them wait for longer than any sleep here; a call would be counted */
    usleep(20000);
    execl(self, self, "child", "17", NULL);
    return 0;
}

static void *sleep_forever(void *unused)
{
    (void)unused;
    __sync_fetch_and_add(&about_to_pause, 1);
    for (;;)
        pause();
}

static void *raw_exit(void *unused)
{
    (void)unused;
    syscall(SYS_exit, 0);
    return 0;
}

static void in_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    pthread_create(&thread, 0, body, argument);
    pthread_join(thread, 0);
}

static void exec_from_thread(void)
{
    pthread_t sleeper, thread;
    pthread_create(&sleeper, 0, sleep_forever, 0);
    pthread_create(&thread, 0, exec_in_thread, 0);
    sleep_forever(0);
}

static void interrupted_read(void)
{
    int ends[2];
    pipe(ends);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    pid_t reader = fork();
    if (reader == 0) { /* read is restarted by the first signal, and ended by the second */
        char byte;
        struct itimerval soon = {.it_value = {.tv_usec = 30000}};
        setitimer(ITIMER_REAL, &soon, 0);
        read(ends[0], &byte, 1);
        action.sa_flags = 0;
        _exit(0);
    }
    usleep(120000);
    write(ends[1], "x", 1);
    finish(reader);
}

static void refused_by_seccomp(void)
{
    filter_at(SYS_uname, SECCOMP_RET_ERRNO | EPERM);
    call(SYS_uname, 6);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 2) {
        call(SYS_getpgrp, atoi(argv[2]));
        return 5;
    }
    call(SYS_close, 3);
    for (int i = 0; i < 7; i++)
        open("/nonexistent", O_RDONLY);
    call(1000, 5);
    call(-1, 2);
    call(100000, 3);
#ifdef __x86_64__
    for (int i = 0; i < 11; i++) {
        long result;
        asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    }
#endif
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < 4; i++)
        raise(SIGUSR1);
    for (int i = 1; i <= 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            call(SYS_getppid, 10 * i);
            if (i == 3) {
                pid_t grandchild = fork();
                if (grandchild == 0) {
                    call(SYS_getuid, 33);
                    _exit(9);
                }
                finish(grandchild);
            }
            _exit(i);
        }
        finish(child);
    }
    pid_t child = vfork();
    if (child == 0) {
        execl(self, self, "child", "21", NULL);
        _exit(1);
    }
    finish(child);
    in_thread(count_in_thread, (void *)100L);
    in_thread(count_in_thread, (void *)200L);
    in_thread(raw_exit, 0);
    void (*bodies[])(void) = {exec_from_thread, interrupted_read, refused_by_seccomp};
    for (int i = 0; i < 3; i++) {
        if ((child = fork()) == 0) {
            bodies[i]();
            _exit(0);
        }
        finish(child);
    }
    if ((child = fork()) == 0) {
        call(SYS_getgid, 12);
        kill(getpid(), SIGKILL);
    }
    finish(child);
    int ready[2];
    char byte = 0;
    pipe(ready);
    if ((child = fork()) == 0) {
        call(SYS_getegid, 13);
        write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    read(ready[0], &byte, 1);
    usleep(50000);
    kill(child, SIGTERM);
    finish(child);
    return 7;
}
