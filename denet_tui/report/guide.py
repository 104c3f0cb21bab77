"""The troubleshooting guide of denet as this program has it: by its own words, what to do here instead, and why."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from denet_tui.report.text import WIDTH
from denet_tui.system import called


class Row(NamedTuple):
    """Words of the guide (headings, commands, symptoms and files), what to do here, what that does."""

    words: tuple[str, ...]
    do: str
    does: str
    wrong: str = ""
    """Why not to do what the guide says; empty where nothing speaks against it."""


ROWS = (
    Row(
        (
            "Using Debug Mode",
            "Advanced Debugging",
            "denet --enable-ebpf --debug run -- your_command",
            "RUST_LOG=debug denet --enable-ebpf --debug run -- your_command 2>&1 | tee ebpf_debug.log",
        ),
        "sudo denet-tui run --debug --log-file ebpf_debug.log -- CMD",
        "logs programs, maps, the verifier, the kernel's configuration and permissions; --enable-ebpf is not needed",
    ),
    Row(
        (
            "Quick Diagnosis Tool",
            "cargo run --bin ebpf_diag --features ebpf",
            "cargo run --bin ebpf_diag --features ebpf -- --debug",
            "eBPF Troubleshooting Guide",
            "Common Issues and Solutions",
        ),
        "sudo denet-tui diag",
        "looks at everything, says what was seen, why it matters and how to put it right; nothing has to be built",
    ),
    Row(
        (
            "Getting Help",
            "cargo run --bin ebpf_diag --features ebpf --debug > ebpf_report.txt",
            "uname -r",
            "lsb_release -a",
            "cargo --version",
            "Steps to reproduce the issue",
        ),
        "sudo denet-tui diag --report report.md",
        "writes kernel, distribution and versions for you, secrets replaced; add how you installed it and what you did",
    ),
    Row(
        (
            "Permission Denied Errors",
            "Permission denied",
            "eBPF features don't work even with sudo",
            "operation not permitted",
            "Check if running as root",
            "sudo denet --enable-ebpf run -- your_command",
        ),
        "sudo denet-tui run -- CMD",
        "root for a moment; where even that is refused, `diag` says by what (container, seccomp, lockdown)",
    ),
    Row(
        (
            "Verify CAP_BPF capability",
            "getcap $(which denet)",
            "sudo setcap cap_bpf+ep $(which denet)",
            "Verify if the binary still has the correct capabilities",
        ),
        "sudo denet-tui setup --only PRIV-005.socket",
        "lets members of the group denet-trace watch without root; PRIV-007 finds capabilities on interpreters",
        "CAP_BPF alone cannot load a tracing program (CAP_PERFMON is missing), and setcap on an interpreter gives the "
        "capabilities to every script of every user",
    ),
    Row(
        (
            "Check tracefs permissions",
            "ls -la /sys/kernel/debug/tracing/events/syscalls",
            "ls -la /sys/kernel/debug/tracing",
            "sudo ./setup/setup_tracefs_permissions.sh",
            "sudo ./setup/setup_tracefs_permissions.sh --debug",
            "Run the setup script again",
            "Run setup script with verbose output",
        ),
        "sudo denet-tui setup",
        "shows each change before it is made, and takes it back; raw tracepoints, the default, need no tracefs at all",
        "chmod -R and chgrp -R on tracefs let the group write kprobe_events, and so read kernel memory",
    ),
    Row(
        (
            "Missing Maps or Programs",
            "Map not found",
            "Program not found",
            "eBPF loads but doesn't track any syscalls",
            "No syscalls being tracked",
            "Check if the eBPF bytecode is properly built",
            "cargo clean",
            "cargo build --release --features ebpf",
        ),
        "sudo denet-tui selftest",
        "loads the program, makes 1,000 known calls and compares; the program is made as it is loaded, never rebuilt",
    ),
    Row(
        ("Verify bytecode content", "syscall_counts", "pid_syscall_map", "Proper ELF header"),
        "sudo denet-tui run --debug --no-tui -- true",
        "names each program with what the verifier walked, and each map with its type and size; there is no ELF file",
    ),
    Row(
        ("Kernel Support Issues", "Feature not supported", "eBPF loads but fails to attach to tracepoints"),
        "denet-tui diag --only KERN-001,KERN-002,KERN-009",
        "says what this kernel has",
    ),
    Row(
        ("Check kernel version", "kernel 4.18 or newer", "4.18", "dpkg -l | grep linux-image"),
        "denet-tui diag --only KERN-001,BCC-004,DRIFT-001",
        "says whether this kernel will do, and what changed since the last good run",
        "4.18 is too old: CAP_BPF and what the program needs came with Linux 5.8",
    ),
    Row(
        ("Verify BPF is enabled in the kernel", "grep CONFIG_BPF /boot/config-$(uname -r)", "CONFIG_BPF=y"),
        "denet-tui diag --only KERN-002",
        "reads the kernel's own configuration, wherever it is",
        "CONFIG_BPF alone is not enough: BPF_SYSCALL, BPF_EVENTS and tracepoints count; a missing file says nothing",
    ),
    Row(
        ("Check JIT compilation", "cat /proc/sys/net/core/bpf_jit_enable", "bpf_jit_enable"),
        "denet-tui diag --only KERN-003",
        "says whether the JIT is on; without it everything works, slower",
    ),
    Row(
        (
            "Check unprivileged BPF setting",
            "cat /proc/sys/kernel/unprivileged_bpf_disabled",
            "unprivileged_bpf_disabled",
        ),
        "denet-tui diag --only KERN-004",
        "says what it is; leave it at 1 or 2",
        "0 helps nobody who has the capabilities, and opens bpf(2) to every user",
    ),
    Row(
        (
            "Tracepoint Attachment Issues",
            "Failed to attach tracepoint",
            "Check if tracefs is properly mounted",
            "mount | grep debugfs",
            "Check if debugfs is still properly mounted",
        ),
        "denet-tui diag --only FS-001,FS-002,FS-004",
        "looks at tracefs itself; raw tracepoints, the default, need neither of the two",
        "debugfs is another file system than tracefs: that grep says nothing about tracepoints",
    ),
    Row(
        (
            "Verify specific tracepoints exist",
            "ls -la /sys/kernel/debug/tracing/events/syscalls/sys_enter_read",
            "Try with a simple syscall first",
            "cargo run --bin ebpf_test --features ebpf",
            "Test with the simplest eBPF program",
        ),
        "sudo denet-tui selftest --syscall read",
        "counts 1,000 known reads, and says exact or not",
    ),
    Row(
        (
            "Recovering from Previous eBPF Sessions",
            "Regression Debugging",
            "Check for kernel updates that may have changed eBPF behavior",
            "Verify if any system configuration changed",
            "Check the diagnostic tool output first",
        ),
        "sudo denet-tui diag --only DRIFT-001",
        "says what differs from the last good run: kernel, bcc, settings, mounts, capabilities",
    ),
    Row(
        ("Reboot your system to reset any stuck eBPF state", "sudo reboot"),
        "sudo denet-tui diag --only OTHER-001,LEFT-001",
        "shows what is loaded, and by which process",
        "nothing stays stuck: the kernel drops programs and links with the process that held them",
    ),
    Row(
        ("Look for kernel log messages related to BPF", "dmesg | grep -i bpf"),
        "sudo denet-tui diag --only LOG-001",
        "looks through the kernel's log for complaints about BPF",
    ),
    Row(
        (
            "Check if another process might be using conflicting BPF resources",
            "sudo bpftool prog list",
            "Resource busy",
        ),
        "sudo denet-tui diag --only OTHER-001",
        "names the BPF programs of others and who holds them",
        "tracers do not exclude each other: any number of them may run",
    ),
    Row(
        ("sudo does not find it", "sudo: denet-tui: command not found", "secure_path"),
        "denet-tui run -- CMD",
        "sudo looks only where its `secure_path` leads (man sudoers). `denet-tui make` asks sudo by itself, with the "
        "whole path; else say `sudo /usr/local/bin/denet-tui`, or install the Debian package, which is in /usr/bin.",
    ),
    Row(
        ("Detailed Error Analysis", "Not found", "Invalid argument"),
        'denet-tui explain "the whole error text"',
        "tells the cause on this machine, since one text stands for several causes",
    ),
)


def search(text: str) -> list[Row]:
    """The rows of which these are words, else that have them in a text, else whose words are in them; in any case.

    All of them for an empty text. Of the words in a pasted error those count that are part of no longer ones.
    """
    wanted = text.casefold()
    if found := [row for row in ROWS if wanted in map(str.casefold, row.words)]:
        return found
    if found := [row for row in ROWS if any(wanted in part.casefold() for part in (*row.words, *row[1:]))]:
        return found
    return _within(wanted)


def _within(wanted: str) -> list[Row]:
    known = {word: row for row in ROWS for part in row.words if (word := part.casefold()) in wanted}
    longest = [word for word in known if not any(word != other and word in other for other in known)]
    return list(dict.fromkeys(known[word] for word in sorted(longest, key=wanted.index)))


def page(row: Row) -> str:
    """A row in a few lines of text."""
    lines = [row.words[0], *(f"  also: {word}" for word in row.words[1:]), f"  here: {typed(row.do)}"]
    lines += wrapped(row.does, "        ")
    return "\n".join([*lines, *(wrapped(row.wrong, "  why:  ") if row.wrong else ())])


def typed(command: str) -> str:
    """A command of ROWS as it is typed here, where sudo may not find denet-tui by its name."""
    words = command.removeprefix("sudo denet-tui ")
    if words == command:
        return command
    way = "as root:" if called.why_no_way() else called.sudo()
    return f"{way} {called.program()} {words}"


def wrapped(text: str, first: str) -> list[str]:
    """A text in lines of the width of a page, the first of which begins with a label of eight columns."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * 8, break_on_hyphens=False)
