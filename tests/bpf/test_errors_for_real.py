"""Failures made for real on this machine, and how they are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real import DENET, NOTHING_COMPILED, REPOSITORY, WITH_TRACEFS, environment


def failing(*words: str, method: str = "raw") -> str:
    """The line that `selftest` fails with, started by these words."""
    done = subprocess.run(
        [*words, *DENET, "selftest", "--way", method],
        env=environment(),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 125, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.root
@pytest.mark.parametrize("before", ["", NOTHING_COMPILED], ids=["kept", "compiled"])
def test_for_real_a_limit_on_files_is_named(before: str) -> None:
    assert "RLIMIT_NOFILE" in failing(
        "unshare", "--mount", "sh", "-c", f'{before} exec prlimit --nofile=9:9 "$@"', "sh"
    )


@pytest.mark.root
def test_for_real_a_limit_on_address_space_is_named() -> None:
    script = f'{NOTHING_COMPILED} exec prlimit --as={200 << 20} "$@"'
    assert "RLIMIT_AS is 2" in failing("unshare", "--mount", "sh", "-c", script, "sh")


@pytest.mark.root
def test_for_real_a_user_namespace_is_named() -> None:
    if subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    line = failing("unshare", "--user", "--map-root-user")
    assert "user namespace" in line
    assert "outside of it" in line


@pytest.mark.root
def test_for_real_capabilities_that_do_not_reach_the_loader_are_named() -> None:
    """What the watching process holds is not what the loader gets: it is told by the loader's own facts."""
    script = (
        "import sys; from denet_tui.bpf import privilege; privilege.may_load = lambda: True;"
        "sys.argv = ['denet-tui', 'selftest']; from denet_tui.cli import main; main()"
    )
    nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all"]
    done = subprocess.run(
        [*nobody, sys.executable, "-c", script],
        env=environment(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "this process lacks CAP_BPF and CAP_PERFMON (CapEff" in done.stderr


@pytest.mark.root
def test_what_changed_since_the_last_good_run_is_told_and_what_to_do_still_ends_the_line() -> None:
    good = subprocess.run([*DENET, "selftest"], env=environment(), cwd=REPOSITORY, capture_output=True, text=True)
    assert (good.returncode, good.stderr) == (0, "")
    record = Path(os.environ["XDG_STATE_HOME"]) / "denet-tui" / "last-good.json"
    assert "changed since" not in failing("prlimit", "--nofile=9:9")
    before = json.loads(record.read_text())
    before["seen"]["kernel"] = "5.4.0"
    record.write_text(json.dumps(before))
    line = failing("prlimit", "--nofile=9:9")
    assert "RLIMIT_NOFILE" in line
    assert "(changed since the last good run: kernel (was 5.4.0, is " in line
    assert line.rstrip().endswith("raise it (`ulimit -n 1024`)")


@pytest.mark.root
def test_a_record_that_is_damaged_hides_no_failure() -> None:
    record = Path(os.environ["XDG_STATE_HOME"]) / "denet-tui" / "last-good.json"
    record.parent.mkdir(mode=0o700)
    record.write_text('{"format": 1, "seen": 5}')
    assert "RLIMIT_NOFILE" in failing("prlimit", "--nofile=9:9")


@pytest.mark.root
def test_a_record_that_cannot_be_written_spoils_no_good_run() -> None:
    done = subprocess.run(
        [*DENET, "selftest"],
        env=environment() | {"XDG_STATE_HOME": "/proc/nowhere"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


FILTERED = Path(__file__).parents[1] / "checks" / "filtered.py"


@pytest.mark.root
@pytest.mark.parametrize(
    ("call", "how", "method", "says"),
    [
        ("bpf", "EPERM", "raw", "the kernel refuses bpf(2) (Operation not permitted) whatever the capabilities are"),
        ("bpf", "ENOSYS", "raw", "bpf(2) does not exist here (Function not implemented), says a seccomp filter"),
        ("bpf", "kill", "raw", "the loader was killed by SIGSYS: a seccomp filter kills any process that calls bpf(2)"),
        ("perf_event_open", "EPERM", "tracefs", "perf_event_open is refused by a seccomp filter"),
    ],
)
def test_for_real_a_filter_is_named(call: str, how: str, method: str, says: str) -> None:
    before = WITH_TRACEFS if method == "tracefs" else f'{NOTHING_COMPILED if how == "EPERM" else ""} exec "$@"'
    mounted = ["unshare", "--mount", "sh", "-c", before, "sh"]
    line = failing(*mounted, sys.executable, str(FILTERED), call, how, method=method)
    assert says in line
    assert "allow" in line


@pytest.mark.root
def test_for_real_a_kernel_that_refuses_one_way_does_not_keep_the_other_from_working() -> None:
    words = [sys.executable, str(FILTERED), "perf_event_open", "EPERM", *DENET, "selftest", "--way", "auto"]
    done = subprocess.run(words, env=environment(), cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    # Now the program is kept, and where bpf(2) itself is refused neither is tried by compiling it.
    line = failing(sys.executable, str(FILTERED), "bpf", "ENOSYS", method="auto")
    assert line.startswith("denet-tui: bpf(2) does not exist here (Function not implemented), says a seccomp filter")
