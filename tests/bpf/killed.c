/* Calls at whose entry seccomp ends the thread: `killed HOW COUNT`, each in a process of its own with another thread. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filtered.h"

static const char *how;

/* thread, alone: the filter kills the thread that calls; process: all of them; strict: only read, write and exit are left. */
static void *called(void *nothing)
{
    unsigned action = strcmp(how, "process") ? SECCOMP_RET_KILL_THREAD : SECCOMP_RET_KILL_PROCESS;
    syscall(1000); /* fails with ENOSYS: the last result of the threads that only look on */
    if (!strcmp(how, "strict"))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    else if (filter_at(SYS_getppid, action))
        _exit(1);
    syscall(SYS_getppid);
    return nothing;
}

int main(int argc, char **argv)
{
    how = argc > 1 ? argv[1] : "";
    for (int left = argc > 2 ? atoi(argv[2]) : 0; left > 0; left--) {
        if (fork() == 0) {
            pthread_t thread;
            if (!strcmp(how, "alone"))
                called(0);
            else if (pthread_create(&thread, 0, called, 0) == 0)
                pthread_join(thread, 0);
            _exit(0);
        }
    }
    while (wait(0) > 0) {
    }
    return 0;
}
