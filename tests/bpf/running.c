/* Processes that run when the watching begins, in the shapes that one test each needs: `running SHAPE [ARGUMENT…]`. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filtered.h"

static volatile sig_atomic_t told;

static void tell(int number)
{
    told = number;
}

static void times(long count, long number)
{
    while (count-- > 0)
        syscall(number);
}

static void *for_a_moment(void *nothing)
{
    usleep(200);
    return nothing;
}

static void *making_threads(void *nothing)
{
    pthread_t threads[8];
    while (!told) {
        for (int i = 0; i < 8; i++)
            pthread_create(&threads[i], 0, for_a_moment, 0);
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], 0);
    }
    return nothing;
}

/* churn: threads come and go until SIGUSR1; then 5 children that make 1,000 getppid each. */
static void churn(void)
{
    pthread_t makers[2];
    signal(SIGUSR1, tell);
    for (int i = 0; i < 2; i++)
        pthread_create(&makers[i], 0, making_threads, 0);
    for (int i = 0; i < 2; i++)
        pthread_join(makers[i], 0);
    for (int i = 0; i < 5; i++) {
        if (fork() == 0) {
            times(1000, SYS_getppid);
            _exit(0);
        }
        wait(0);
    }
}

/* hop PATH [init]: a chain of processes that fork and end at once, 10 getppid each, counted in the file, until SIGUSR1;
 * their orphans come to this one, or to init. */
static void hop(const char *path, int to_init)
{
    long *hops = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open(path, O_RDWR), 0);
    pid_t first = getpid();
    signal(SIGUSR1, tell);
    if (!to_init)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (fork() == 0)
        while (getpid() != first) {
            times(10, SYS_getppid);
            __sync_fetch_and_add(hops, 1);
            if (hops[1])
                _exit(0);
            if (fork())
                _exit(0);
        }
    while (!told) {
        while (waitpid(-1, 0, WNOHANG) > 0) {
        }
        usleep(1000);
    }
    hops[1] = 1;
    usleep(300000);
    while (waitpid(-1, 0, WNOHANG) > 0) {
    }
}

/* refused: 1,000 getppid that a filter refuses, and no other call before them, as soon as memory says so. */
static void refused(const char *path)
{
    volatile char *go = mmap(0, 4096, PROT_READ, MAP_SHARED, open(path, O_RDONLY), 0);
    filter_at(SYS_getppid, SECCOMP_RET_ERRNO | 1);
    while (!*go) {
    }
    times(1000, SYS_getppid);
}

static pid_t fork_as(pid_t wanted)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    return syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* again PID N: a process with that id, which makes N writes. */
static int again(pid_t pid, long count)
{
    pid_t child = fork_as(pid);
    if (child == 0) {
        for (int out = open("/dev/null", O_WRONLY); count-- > 0;)
            if (write(out, "x", 1) != 1)
                _exit(1);
        _exit(0);
    }
    return child < 0 || waitpid(child, 0, 0) != child;
}

/* zombie: has a child that has ended, whose id it prints, and takes note of it at SIGUSR1; ends at the next one. */
static void zombie(void)
{
    signal(SIGUSR1, tell);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitid(P_PID, child, 0, WEXITED | WNOWAIT);
    printf("%d\n", child);
    fflush(stdout);
    while (!told)
        usleep(1000);
    waitpid(child, 0, 0);
    told = 0;
    puts("reaped");
    fflush(stdout);
    while (!told)
        usleep(1000);
}

static void *execute(void *path)
{
    char *argv[] = {path, 0};
    printf("%ld\n", (long)syscall(SYS_gettid));
    fflush(stdout);
    execve(path, argv, argv + 1);
    return 0;
}

/* badly PATH: a child in which another thread executes a file that fails when nothing is left to go back to. */
static void badly(const char *path)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr part;
    } file = {
        {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_EXEC,
         .e_version = EV_CURRENT, .e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr),
         .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1, .e_entry = 0x1000},
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0xffff800000000000UL, .p_filesz = sizeof(file),
         .p_memsz = sizeof(file), .p_align = 0x1000},
    };
#ifdef __x86_64__
    file.head.e_machine = EM_X86_64;
#else
    file.head.e_machine = EM_AARCH64;
#endif
    int out = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    if (write(out, &file, sizeof(file)) != sizeof(file))
        exit(1);
    close(out);
    signal(SIGUSR1, tell);
    if (fork() == 0) {
        pthread_t thread;
        pthread_create(&thread, 0, execute, (void *)path);
        pthread_join(thread, 0);
        _exit(3);
    }
    wait(0);
    puts("ended");
    fflush(stdout);
    while (!told)
        usleep(1000);
}

int main(int argc, char **argv)
{
    const char *shape = argc > 1 ? argv[1] : "", *argument = argc > 2 ? argv[2] : "";
    if (!strcmp(shape, "churn"))
        churn();
    else if (!strcmp(shape, "hop"))
        hop(argument, argc > 3);
    else if (!strcmp(shape, "refused"))
        refused(argument);
    else if (!strcmp(shape, "again"))
        return again(atoi(argument), argc > 3 ? atol(argv[3]) : 0);
    else if (!strcmp(shape, "zombie"))
        zombie();
    else if (!strcmp(shape, "badly"))
        badly(argument);
    return 0;
}
