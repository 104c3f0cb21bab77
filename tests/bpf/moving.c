/* Processes that go on as something else: `moving exec PROG…`, `moving refuse`, `moving leave`, each as said below. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *execute(void *argv)
{
    execv(((char **)argv)[0], argv);
    _exit(127);
}

/* refuse: ten getppid, all refused by a seccomp filter before they are entered. */
static int refuse(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
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
