/* Makes getppid calls on request: reads how many, prints ns per call. */
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    long calls;
    while (scanf("%ld", &calls) == 1) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        for (long i = 0; i < calls; i++)
            syscall(SYS_getppid);
        clock_gettime(CLOCK_MONOTONIC, &after);
        printf("%f\n", ((after.tv_sec - before.tv_sec) * 1e9 + (after.tv_nsec - before.tv_nsec)) / calls);
        fflush(stdout);
    }
    return 0;
}
