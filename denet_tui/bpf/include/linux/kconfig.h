/* bcc hides its helpers without it. */
#define CONFIG_BPF_SYSCALL 1
