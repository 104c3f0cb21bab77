/* A deterministic workload for the lab: every run makes the same calls. Linked statically, so that it is the same
   program in every image. Only futex, wait4 and restart_syscall may differ in number from run to run. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 20, FAILING = 10, CALLS = 500, UNKNOWN = 7, FOREIGN = 50 };

static void *calls(void *nothing)
{
    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getpid);
    return nothing;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) /* the program that a child became */
        return 0;
    for (int i = 0; i < 2; i++) { /* one after the other: whether a stack is mapped anew would depend on timing */
        pthread_t thread;
        pthread_create(&thread, 0, calls, 0);
        pthread_join(thread, 0);
    }
    for (int i = 0; i < UNKNOWN; i++)
        syscall(1000);
#ifdef __x86_64__
    for (int i = 0; i < FOREIGN; i++) { /* getpid is 20 there */
        long result = 20;
        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    }
#endif
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < FAILING; j++)
                open("/nonexistent", O_RDONLY);
            if (i % 5 == 0)
                kill(getpid(), SIGKILL);
            if (i % 5 == 1)
                execl("/proc/self/exe", "again", "and", "again", (char *)0);
            _exit(0);
        }
        waitpid(child, 0, 0);
    }
    return 3;
}
