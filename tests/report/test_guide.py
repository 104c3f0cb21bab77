"""Whoever comes with the troubleshooting guide in hand finds each of its headings, commands, symptoms and files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from denet_tui.checks import catalogue
from denet_tui.cli import main
from denet_tui.commands import guide as commands
from denet_tui.commands import preferences
from denet_tui.report import guide
from tests.real import REPOSITORY
from tests.watch.helpers import denet

OF_THE_GUIDE = """
eBPF Troubleshooting Guide
Using Debug Mode
Common Issues and Solutions
Quick Diagnosis Tool
Permission Denied Errors
Check if running as root
Verify CAP_BPF capability
Check tracefs permissions
Missing Maps or Programs
Check if the eBPF bytecode is properly built
Verify bytecode content
Kernel Support Issues
Check kernel version
Verify BPF is enabled in the kernel
Check JIT compilation
Check unprivileged BPF setting
Tracepoint Attachment Issues
Check if tracefs is properly mounted
Verify specific tracepoints exist
Try with a simple syscall first
Advanced Debugging
Recovering from Previous eBPF Sessions
Regression Debugging
Detailed Error Analysis
Getting Help
denet --enable-ebpf --debug run -- your_command
sudo ./setup/setup_tracefs_permissions.sh --debug
cargo run --bin ebpf_diag --features ebpf -- --debug
sudo denet --enable-ebpf run -- your_command
getcap $(which denet)
sudo setcap cap_bpf+ep $(which denet)
ls -la /sys/kernel/debug/tracing/events/syscalls
cargo clean
cargo build --release --features ebpf
uname -r
grep CONFIG_BPF /boot/config-$(uname -r)
cat /proc/sys/net/core/bpf_jit_enable
cat /proc/sys/kernel/unprivileged_bpf_disabled
mount | grep debugfs
ls -la /sys/kernel/debug/tracing/events/syscalls/sys_enter_read
cargo run --bin ebpf_test --features ebpf
RUST_LOG=debug denet --enable-ebpf --debug run -- your_command 2>&1 | tee ebpf_debug.log
dpkg -l | grep linux-image
ls -la /sys/kernel/debug/tracing
sudo reboot
dmesg | grep -i bpf
sudo bpftool prog list
cargo run --bin ebpf_diag --features ebpf --debug > ebpf_report.txt
lsb_release -a
cargo --version
Permission denied
operation not permitted
eBPF features don't work even with sudo
Map not found
Program not found
eBPF loads but doesn't track any syscalls
syscall_counts
pid_syscall_map
Feature not supported
eBPF loads but fails to attach to tracepoints
Failed to attach tracepoint
No syscalls being tracked
Not found
Invalid argument
Resource busy
setup_tracefs_permissions.sh
ebpf_diag
bpf_jit_enable
4.18
"""


@pytest.mark.parametrize("words", OF_THE_GUIDE.strip().splitlines())
def test_the_guides_own_words_are_found(words: str) -> None:
    assert any(words in known for row in guide.search(words) for known in row.words)


def test_what_is_advised_is_there() -> None:
    for row in guide.ROWS:
        words = [word for word in shlex.split(row.do) if word != "sudo"]
        assert words[0] == "denet-tui"
        assert words[1] in main.commands
        assert set(re.findall(r"[A-Z0-9]+-\d{3}", f"{row.do} {row.does}")) <= set(catalogue.by_id)


def test_words_are_looked_up_and_explained() -> None:
    found = denet("guide", "getcap").stdout
    assert re.search(r"here: sudo (/\S+/)?denet-tui setup --only PRIV-005\.socket", found)
    assert "why:  CAP_BPF alone cannot load" in found
    unknown = denet("guide", "no-such-thing")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert denet("explain", "bpf: Failed to load program: Permission denied").stdout.count("verifier rejects") == 1
    assert "KERN-004 " in (page := denet("explain", " kern-004 ").stdout)
    assert {"why:", "fix:", "undo:"} <= set(page.split()), "a check that passes says it, too"
    assert "leave it at 1 or 2" in page
    assert denet("explain", "Resource", "busy").returncode == 0
    assert "see:   denet-tui explain PRIV-" in denet("explain", "Need super-user privileges").stdout, (
        "as its help has it"
    )


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("error: Map not found: syscall_counts", "Missing Maps or Programs"),
        ("eBPF error: Program not found", "Missing Maps or Programs"),
        ("Error: Failed to attach tracepoint: sys_enter_read", "Tracepoint Attachment Issues"),
        ("Not found", "Detailed Error Analysis"),
        ("Permission denied", "Permission Denied Errors"),
        ("perf_event_paranoid", "KERN-006"),
        ("kernel.perf_event_paranoid", "KERN-006"),
        ("13", "Permission Denied Errors"),
        ("--debug", "Using Debug Mode"),
        ("\x1b[1;31mPermission denied\x1b[0m", "Permission Denied Errors"),
    ],
)
def test_what_is_pasted_leads_to_its_own_page(words: str, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.commands["explain"].main([words], standalone_mode=False) == 0
    assert capsys.readouterr().out.startswith(page)


def test_no_errno_alone_says_that_the_verifier_or_an_old_kernel_is_it(capsys: pytest.CaptureFixture[str]) -> None:
    for words, wrong in (("Permission denied", "verifier"), ("EACCES", "verifier"), ("Invalid argument", "5.8")):
        assert commands.tell(words) == 0
        assert wrong not in capsys.readouterr().out.replace("program needs came with Linux 5.8", "")


def test_sudo_that_does_not_find_it_is_told_as_in_the_questions(capsys: pytest.CaptureFixture[str]) -> None:
    asked = " ".join((REPOSITORY / "docs" / "faq.md").read_text().split())
    for words in ("sudo: denet-tui: command not found", "secure_path", "command not found"):
        (row,) = guide.search(words)
        assert f"## {row.words[0]} {row.does} ##" in asked
        assert commands.tell(words) == 0
        assert capsys.readouterr().out == guide.page(row) + "\n"


def test_no_text_is_answered_by_asking_for_it_once_more() -> None:
    said = denet("explain", "bash: make: command not found")
    assert (said.returncode, said.stdout) == (1, "")
    assert "nothing is known about" in said.stderr


@pytest.mark.parametrize(
    "words", ["cat: /x: Permission denied", "\x1b[31mPermission denied\x1b[0m", "Permission denied."]
)
def test_what_does_not_say_that_loading_failed_is_no_mistake_of_ours(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.tell(words) == 0
    said = capsys.readouterr().out
    assert "refuses bpf(2) (Permission denied)" in said
    assert "verifier" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("ENOSPC", "No space left on device\n  if it is what writing a file says:\n  fix:   free some space"),
        ("write: No space left on device", "fix:   free some space"),
        ("HINT: The RLIMIT_MEMLOCK setting may be too low.", "explain KERN-007"),
        ("libbpf: failed to load: -22", "(EINVAL)"),
        ("Exception: Failed to attach BPF program b'x' to raw tracepoint", "explain E2E-001"),
        ("Exception: Failed to attach BPF program b'x' to tracepoint", "--attach-method raw"),
    ],
)
def test_what_libraries_and_files_say(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.tell(words) == 0
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("name", ["interval", "theme", "columns", "keys"])
def test_a_setting_is_told_as_the_settings_file_has_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.tell(name) == 0
    about = capsys.readouterr().out.removesuffix("\nsee:   denet-tui settings\n")
    assert about in preferences.example()
    assert re.search(rf"^#?\[?{name}\b", about, re.MULTILINE)


def test_an_errno_of_which_nothing_is_known_is_not_repeated_as_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.tell("EXDEV") == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("end", ["", ": Invalid argument"])
def test_of_a_long_text_no_more_than_a_line_is_said(end: str, capsys: pytest.CaptureFixture[str]) -> None:
    commands.tell(100_000 * "x" + end)
    commands.show(100_000 * "x")
    said = capsys.readouterr()
    assert len(said.out + said.err) < 1000


@pytest.mark.parametrize("option", ["--debug", "--enable-ebpf"])
def test_an_option_of_every_command_is_one_here_and_alone_a_word_of_the_guide(option: str) -> None:
    assert denet("guide", option).stdout.startswith("Using Debug Mode")
    assert denet("guide", option).stdout.count("\nUsing") == 0, "not all of it"
    for command, words in (("guide", ["getcap"]), ("explain", ["EPERM"]), ("explain", ["Map", "not", "found"])):
        assert denet(command, option, *words).stdout == denet(command, *words).stdout != ""
    assert denet(option, "guide").stdout == denet("guide").stdout
    assert "say what is to be explained" in denet(option, "explain").stderr


def test_the_log_goes_where_it_is_sent(tmp_path: Path) -> None:
    done = denet("explain", "--log-file", str(tmp_path / "log"), "EPERM")
    assert (done.returncode, (tmp_path / "log").exists()) == (0, True)
    assert "cannot write the log" in denet("guide", "--log-file", str(tmp_path / "none" / "log"), "getcap").stderr
