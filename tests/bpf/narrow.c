/* Seven 32-bit calls of getpid. */
int main(void)
{
    for (int at = 0; at < 7; at++) {
        long result = 20;
        asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    }
    return 0;
}
