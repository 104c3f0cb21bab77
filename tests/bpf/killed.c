/* Calls at whose entry seccomp ends the thread: `killed HOW COUNT`, each in a process of its own with another thread. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *how;

/* thread, alone: the filter kills the thread that calls; process: all of them; strict: only read, write and exit are left. */
static void *called(void *nothing)
{
    unsigned action = strcmp(how, "process") ? SECCOMP_RET_KILL_THREAD : SECCOMP_RET_KILL_PROCESS;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, code};
    syscall(1000); /* fails with ENOSYS: the last result of the threads that only look on */
    if (!strcmp(how, "strict"))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
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
