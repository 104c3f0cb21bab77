"""Bad input and bad machines: one line on stderr that says what to do next, the right status, and nothing run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.bpf import toolchain
from denet_tui.cli import main
from tests.forked import each
from tests.person import Person
from tests.real import WITH_TRACEFS, environment
from tests.watch.helpers import DENET, complaint, denet, run

REINSTALL = re.compile(r"; reinstall \S+ and \S+: `sudo \S+ \S+ .*bp?f?cc`$")
GONE = 4194304
"""Above every possible pid: PID_MAX_LIMIT of 64-bit kernels."""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What `touch` makes where a command was run although it should not."""
    return tmp_path / "ran"


def test_help_and_version_need_nothing() -> None:
    assert denet("--version").stdout.startswith("denet-tui ")
    for words in ([], ["--help"], ["run", "--help"], ["attach", "-h"], ["selftest", "--help"], ["help", "diag"]):
        done = denet(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: denet-tui" in done.stdout
        assert "Examples:\n" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "\\b" not in done.stdout
        assert "\b" not in done.stdout


@pytest.mark.parametrize("words", [["--version"], ["run", "-h"], ["explain", "EPERM"]], ids=" ".join)
def test_a_full_disk_is_no_mistake_of_ours(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*DENET, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert complaint(done) == (
        "what was asked for cannot be written: No space left on device (free some space, or name a file elsewhere)"
    )


def test_every_command_stands_under_a_heading_of_the_help() -> None:
    headed = [name for names in main.sections.values() for name in names]
    assert sorted(headed) == sorted(main.commands)


@pytest.mark.root
@pytest.mark.parametrize("words", [["sh"], ["--", "sh"], ["--debug", "run", "--no-tui", "sh"]], ids=" ".join)
def test_a_program_can_be_named_right_away(words: list[str]) -> None:
    done = denet(*words, "-c", "echo here; exit 3")
    assert (done.returncode, done.stdout) == (3, "here\n")
    assert ("found the toolchain" in done.stderr or "bcc" in done.stderr) == ("--debug" in words)


@pytest.mark.root
def test_what_denet_needed_is_not_needed_here() -> None:
    done = denet("run", "--no-tui", "--enable-ebpf", "--debug", "--", "true")
    assert done.returncode == 0
    assert "--enable-ebpf is not needed" in done.stderr.splitlines()[0]
    for promised in (
        r"program on_sys_enter: the verifier accepted it after (\d+|some) instructions",
        r"map pid_syscall_map: hash, 57,344 entries, keys of 8 bytes",
        r"map syscall_counts: per-CPU array, ",
        r"kernel configuration: ",
        r"permissions of this process, now that the program is loaded: uid \d+, CapInh",
    ):
        assert re.search(promised, done.stderr), promised


UNKNOWN = [
    ("raed", "unknown syscall 'raed'; did you mean read?"),
    ("read,%nonsense", "unknown class %nonsense; there are %file"),
    ("zzzzzz", "unknown syscall 'zzzzzz'"),
    ("read,!raed", "unknown syscall 'raed'; did you mean read?"),
    ("/^opne/,read", "no syscall matches /^opne/"),
    ("!/^opne/", "no syscall matches /^opne/"),
    ("/open", "/open is no pattern: it stands between two slashes"),
    ("/(/", "/(/ is no regular expression: missing ), unterminated subpattern"),
    ("read,write,!/^(read|write)$/", "nothing is left to count of --syscalls read,write,!/^(read|write)$/"),
]


def test_unknown_syscalls_and_classes(marker: Path) -> None:
    asked = [["run", "--no-tui", "--syscalls", syscalls, "--", "touch", str(marker)] for syscalls, _ in UNKNOWN]
    for (syscalls, says), done in zip(UNKNOWN, each(asked), strict=True):
        assert says in complaint(done), syscalls
    assert not marker.exists()


@pytest.mark.root
def test_commands_that_cannot_be_found(tmp_path: Path) -> None:
    assert complaint(denet("run", "nonsense-command"), 127) == "command not found in PATH: nonsense-command"
    assert complaint(denet("run", "./nonsense", cwd=tmp_path), 127) == "command not found: ./nonsense"
    asked = complaint(denet("run", "ls | wc"), 127)
    assert asked.endswith("ls | wc; if that is a line for a shell: denet-tui run -- sh -c 'ls | wc'")
    assert complaint(denet("run", ""), 127) == "the command is an empty string: name a program"


@pytest.mark.root
def test_commands_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("echo x\n")
    (tmp_path / "loop").symlink_to("loop")
    assert "not executable" in complaint(denet("run", "./text", cwd=tmp_path), 126)
    assert "is a directory" in complaint(denet("run", str(tmp_path)), 126)
    assert "symbolic links" in complaint(denet("run", "./loop", cwd=tmp_path), 126)
    assert "File name too long" in complaint(denet("run", "./" + "x" * 300, cwd=tmp_path), 126)
    assert "Not a directory" in complaint(denet("run", "./text/x", cwd=tmp_path), 126)


@pytest.mark.root
def test_what_looks_like_an_option_behind_the_command_is_the_commands() -> None:
    done = denet("run", "--no-tui", "printf", "%s\\n", "--interval", "-o")
    assert (done.returncode, done.stdout) == (0, "--interval\n-o\n")


@pytest.mark.root
def test_processes_that_do_not_exist() -> None:
    for pid in (GONE, 2**31, 2**64, 10**30):
        assert f"there is no process {pid}" in complaint(denet("attach", "--no-tui", "1", str(pid)))
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert f"process {zombie.pid} has" in complaint(denet("attach", "--no-tui", str(zombie.pid)))


@pytest.mark.root
def test_a_process_may_be_named(tmp_path: Path) -> None:
    reader = [str(shutil.copy("/bin/cat", tmp_path / "reader-of-this-test"))]
    name = Path(reader[0]).name
    with subprocess.Popen(reader, stdin=subprocess.PIPE) as one, subprocess.Popen(reader, stdin=subprocess.PIPE) as two:
        done = denet("attach", "--no-tui", name)
        assert done.returncode == 125
        *listed, last = done.stderr.splitlines()
        assert {(line.split()[0], line.split()[-1]) for line in listed} == {
            (str(process.pid), *reader) for process in (one, two)
        }
        assert last == (
            f"denet-tui: 2 processes are called {name}: name some by their ids, `denet-tui attach PID`, or watch them "
            f"all, `denet-tui attach --all {name}`"
        )
        assert f"did you mean {name}?" in complaint(denet("attach", "--no-tui", name[:-1]))
        two.communicate()
        with subprocess.Popen([*DENET, "attach", "--json", name], stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout
            assert json.loads(watching.stdout.readline())["pid"] == one.pid
            one.communicate()


@pytest.mark.root
def test_users_that_do_not_exist(marker: Path) -> None:
    line = complaint(denet("run", "--user", "nobody-has-this-name", "--", "touch", str(marker)))
    assert line == "there is no user 'nobody-has-this-name'; see `getent passwd`"
    assert "exclude each other" in complaint(denet("run", "--user", "root", "--as-root", "--", "touch", str(marker)))
    assert not marker.exists()


@pytest.mark.root
def test_files_that_cannot_be_written(tmp_path: Path, marker: Path) -> None:
    reasons = {
        "nowhere/file": "No such file or directory (the folder does not exist: create it, or name another file)",
        ".": "Is a directory (it is a folder: name a file in it)",
        "": "its name is empty; see `denet-tui run --help`",
    }
    asked = [(option, path) for option in ("-o", "--log-file") for path in reasons]
    asked += [(option, "nowhere/file") for option in ("--summary", "--output")]
    words = [["run", "--no-tui", option, path, "--", "touch", str(marker)] for option, path in asked]
    for (option, path), done in zip(asked, each(words, tmp_path), strict=True):
        assert reasons[path] in complaint(done), option
    assert not marker.exists()


@pytest.mark.root
def test_without_root_sudo_is_named(marker: Path, person: Person) -> None:
    for words in (
        ["run", "--no-tui", "--", "touch", f"{marker} 2"],
        ["touch", str(marker)],
        ["attach", "1"],
        ["selftest"],
    ):
        line = complaint(run(*person.argv('"$@"', *DENET, *words)))
        typed = re.fullmatch(r"loading the BPF program needs root for a moment: run `sudo (.*)`", line)
        assert typed, line
        program, *again = shlex.split(typed[1])
        assert Path(program).name == "denet-tui"
        assert again == words
    line = complaint(run("setpriv", "--reuid=65534", "--clear-groups", *DENET, "selftest"))
    assert re.fullmatch(r"loading .+ needs root, and sudo does not let you.+ setup` has a text for .+", line), line
    assert not marker.exists()


@pytest.mark.root
def test_the_capability_that_is_missing_is_named(marker: Path) -> None:
    words = [*DENET, "run", "--no-tui", "--", "touch", str(marker)]
    for cut, missing in (
        ("-bpf,-sys_admin", "CAP_BPF"),
        ("-perfmon,-sys_admin", "CAP_PERFMON"),
        ("-bpf,-perfmon,-sys_admin", "CAP_BPF and no CAP_PERFMON"),
    ):
        line = complaint(run("setpriv", f"--bounding-set={cut}", *words))
        assert f"root has no {missing} here" in line
    one = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all,+bpf", "--ambient-caps=-all,+bpf"]
    assert "CAP_PERFMON would do" in complaint(run(*one, *words))
    assert not marker.exists()
    for enough in ("-sys_admin", "-bpf,-perfmon"):
        assert run("setpriv", f"--bounding-set={enough}", *DENET, "run", "--no-tui", "true").returncode == 0


def somewhere_else(change: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run denet-tui where the files that a shell line changes are other ones; nobody else sees the change."""
    script = f'{change} || exit 99; exec "$@"'
    return run("unshare", "--mount", "sh", "-c", script, "sh", *DENET, *words)


NO_PACKAGE = "mount --bind /bin/false $(readlink -f $(command -v dpkg-query || command -v rpm || command -v pacman))"
"""Whatever is asked for, the package manager does not call it installed."""


@pytest.mark.root
@pytest.mark.parametrize("installed", [True, False])
def test_without_bcc_the_package_is_named(marker: Path, installed: bool) -> None:
    folder = toolchain.find().folder
    change = f"mount -t tmpfs tmpfs {folder.parent}{'' if installed else f' && {NO_PACKAGE}'}"
    line = complaint(somewhere_else(change, "run", "--no-tui", "--", "touch", str(marker)))
    assert not marker.exists()
    if installed:
        assert "is installed, but bcc is not where it belongs" in line
        assert REINSTALL.search(line)
        return
    assert line == (f"bcc (the BPF Compiler Collection) is not installed; install it: {toolchain.install_command()}")


@pytest.mark.root
def test_the_wrong_bcc_is_told_from_the_right_one(tmp_path: Path, marker: Path) -> None:
    folder = toolchain.find().folder
    (tmp_path / "__init__.py").write_text("class BPF: pass\n")
    change = f"mount --bind {tmp_path} {folder}"
    line = complaint(somewhere_else(change, "run", "--no-tui", "--", "touch", str(marker)))
    assert f"the bcc in {folder} is not the BPF Compiler Collection" in line
    assert REINSTALL.search(line)
    assert not marker.exists()


@pytest.mark.root
def test_a_broken_libbcc_is_named(tmp_path: Path, marker: Path) -> None:
    known = run("ldconfig", "-p").stdout
    library = next((line.split()[-1] for line in known.splitlines() if line.strip().startswith("libbcc.so.0")), None)
    if not library:
        pytest.skip("libbcc.so.0 is not where ldconfig knows of it")
    (tmp_path / "empty").touch()
    change = f"mount --bind {tmp_path / 'empty'} $(readlink -f {library})"
    line = complaint(somewhere_else(change, "run", "--no-tui", "--", "touch", str(marker)))
    assert "does not load" in line
    assert "file too short" in line
    assert REINSTALL.search(line)
    assert not marker.exists()


REFUSE_BPF = """
import ctypes, os, struct, sys
number = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine) or sys.exit(99)
load, equal, give = (0x20, 0, 0, 0), (0x15, 0, 1, number), 0x06
refuse, allow = 0x00050000 | 1, 0x7FFF0000  # SECCOMP_RET_ERRNO with EPERM, SECCOMP_RET_ALLOW
steps = (load, equal, (give, 0, 0, refuse), (give, 0, 0, allow))
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
ctypes.CDLL(None).prctl(22, 2, filter, 0, 0) and sys.exit(98)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.root
def test_a_filter_that_refuses_bpf_is_named(marker: Path) -> None:
    words = [sys.executable, "-c", REFUSE_BPF, *DENET, "run", "--no-tui", "--", "touch", str(marker)]
    line = complaint(run(*words))
    assert "the kernel refuses bpf(2) (Operation not permitted)" in line
    assert "seccomp" in line
    assert not marker.exists()


@pytest.mark.root
def test_without_tracefs_its_way_says_how_to_mount_it(marker: Path) -> None:
    change = "umount /sys/kernel/tracing 2> /dev/null; ! mountpoint -q /sys/kernel/tracing"
    done = somewhere_else(change, "run", "--no-tui", "--way", "tracefs", "--", "touch", str(marker))
    assert "as root, mount -t tracefs tracefs /sys/kernel/tracing" in complaint(done)
    assert not marker.exists()
    mounted = run("unshare", "--mount", "sh", "-c", WITH_TRACEFS, "sh", *DENET, "selftest", "--way", "tracefs")
    assert mounted.returncode == 0, mounted.stderr


@pytest.mark.root
def test_a_loader_that_is_killed_is_reported(tmp_path: Path, marker: Path) -> None:
    from denet_tui.bpf.errors import LoadError
    from denet_tui.bpf.handover import Loading

    for script, says in (
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("raise SystemExit(3)", "exited with status 3"),
    ):
        with pytest.raises(LoadError, match=says):
            Loading(program=("-c", script)).receive()
    stuck = Loading(program=("-c", "import time; time.sleep(100)"))
    with pytest.raises(LoadError, match="did not answer"):
        stuck.receive(timeout=0.5)
    assert stuck.process.wait(0) == -signal.SIGKILL


@pytest.mark.root
@pytest.mark.early
def test_selftest_is_exact_and_refuses_calls_with_effects() -> None:
    done = denet("selftest")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1,000 calls made, 1,000 counted (EBADF 1,000): exact" in done.stdout
    assert "cannot be called without effect; choose one of" in complaint(denet("selftest", "--syscall", "reboot"))


@pytest.mark.parametrize(
    ("words", "variable"),
    [
        ("--debug diag --only KERN-003", "NONE"),
        ("diag --only KERN-003 --debug", "NONE"),
        ("diag --only KERN-003", "DENET_LOG"),
        ("diag --only KERN-003", "RUST_LOG"),
    ],
)
def test_debug_may_stand_anywhere(words: str, variable: str) -> None:
    done = denet(*words.split(), env={**environment(), variable: "debug"})
    assert done.returncode == 0
    assert " DEBUG KERN-003: " in done.stderr
    assert "KERN-003" in done.stdout


def test_the_log_of_settings_names_its_file() -> None:
    done = denet("settings", "--debug")
    assert " DEBUG settings: /" in done.stderr
    assert "[columns]" in done.stdout


def test_a_log_that_cannot_be_written_is_said_in_one_line() -> None:
    assert "name another file" in complaint(denet("settings", "--log-file", "/nowhere/log"))
