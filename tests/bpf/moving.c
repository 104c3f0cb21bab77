/* Processes that go on as something else: `moving exec PROG…`, `moving refuse`, `moving leave`, each as said below. */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filtered.h"

static void *execute(void *argv)
{
    execv(((char **)argv)[0], argv);
    _exit(127);
}

/* refuse: ten getppid, all refused by a seccomp filter before they are entered. */
static int refuse(void)
{
    if (filter_at(SYS_getppid, SECCOMP_RET_ERRNO | 1))
        return 1;
    for (int i = 0; i < 10; i++)
        syscall(SYS_getppid);
    return 0;
}

/* leave: becomes root, where it is a setuid program of root's; then 500 getppid. */
static int leave(void)
{
    if (setuid(0))
        return 1;
    for (int i = 0; i < 500; i++)
        syscall(SYS_getppid);
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc > 2 && !strcmp(argv[1], "exec")) { /* exec PROG…: by a thread that is not the leader */
        pthread_create(&thread, 0, execute, argv + 2);
        pthread_join(thread, 0);
    }
    return argc > 1 && !strcmp(argv[1], "refuse") ? refuse() : argc > 1 && !strcmp(argv[1], "leave") ? leave() : 2;
}
