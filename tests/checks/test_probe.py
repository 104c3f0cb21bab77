"""The proof: what it makes of what the prober says. Where it stops on machines made wrong: test_every_state.py."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.checks import probe, verdict
from denet_tui.checks.host import Output
from denet_tui.checks.model import State
from tests.checks.fake import FakeHost
from tests.real import REPOSITORY, environment

SOURCE = Path(probe.BPF_FOLDER, "kernel", "tracepoints.c").read_text()

ENDS = st.integers(-70, 300)

GOOD = [
    *(
        {"method": method, "layer": layer, "errno": 0, "text": ""}
        for method in ("raw", "tracefs")
        for layer in probe.LAYERS
    ),
    *(
        {
            "method": method,
            "programs": dict.fromkeys(probe.EVENTS, 300),
            "maps": {name: [2, 4, 4, 1] for name in probe.MAPS} | {n: list(s) for n, s in probe.EXPECTED.items()},
            "bcc": "0.26.0",
        }
        for method in ("raw", "tracefs")
    ),
    *({"method": method, "made": 1000, "counted": 1000, "loss": "", "exact": True} for method in ("raw", "tracefs")),
]


def host(*lines: dict[str, object], status: int = 0, source: str = SOURCE, uid: int = 0) -> FakeHost:
    """A machine where the prober prints these lines."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    files = {f"{probe.BPF_FOLDER}/kernel/tracepoints.c": source}
    return FakeHost(files, commands={sys.executable: Output(status, text, "the last words")}, uid=uid)


@pytest.mark.root
@pytest.mark.slow
def test_looking_changes_nothing_and_starts_no_other_program(tmp_path: Path) -> None:
    """No module is loaded, nothing is mounted: bcc would run modprobe, and a look into debugfs would mount tracefs."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    watched = ("/proc/self/mountinfo", "/proc/modules", "/proc/sys/kernel/tainted")
    before = [Path(each).read_text() for each in watched if Path(each).exists()]
    log = tmp_path / "log"
    program = "from denet_tui.helper import check_runner as all_of; print(len(all_of.run(all_of.Host())))"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-s", "200", "-e", "trace=execve,mount,umount2,init_module,finit_module,openat",
         "-o", log, sys.executable, "-c", program],
        cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = log.read_text(errors="replace").splitlines()
    executed = {line.split('"')[1].rpartition("/")[2] for line in lines if " execve(" in line and "ENOENT" not in line}
    assert executed <= {Path(sys.executable).name, "getcap", "dpkg-query", "rpm", "systemctl", "ldconfig"}, executed
    assert not [line for line in lines if "modprobe" in line]
    assert not [line for line in lines if any(f" {call}(" in line for call in ("mount", "umount2", "finit_module"))]
    assert not [line for line in lines if "/sys/kernel/debug/" in line]
    created = [line for line in lines if "O_CREAT" in line and "/sys/" in line]
    assert not created
    assert [Path(each).read_text() for each in watched if Path(each).exists()] == before


def test_all_good() -> None:
    here = host(*GOOD)
    found = probe.check_program(here), probe.check_counting(here)
    assert [each.state for each in found] == [State.PASS, State.PASS]
    assert found[0].title.endswith("up to 300 instructions verified in one")
    assert len(here.ran) == 1, "the second takes what the first has seen"
    probe.check_counting(here)
    probe.check_counting(here)
    assert len(here.ran) == 3, "asked again, it looks again: something was repaired, perhaps"


def test_a_verifier_s_refusal_is_our_mistake_and_shows_its_log() -> None:
    refused = {"method": "raw", "layer": "load", "errno": errno.EACCES, "text": "no", "output": "R1 invalid mem access"}
    finding = probe.check_program(host(refused))
    assert finding.state is State.FAIL
    assert finding.blocks == ("raw",)
    assert "please report this" in finding.title
    assert "R1 invalid mem access" in {each.value for each in finding.evidence}


@pytest.mark.parametrize(
    "log",
    [
        "8: (85) call bpf_probe_read_kernel#113\nunknown func bpf_probe_read_kernel#113\nprocessed 9 insns\n",
        "program of this type cannot use helper bpf_probe_read_kernel#113\nprocessed 9 insns\n",
        "could not open bpf map: syscall_counts, error: Operation not permitted\n",
    ],
    ids=["lockdown=confidentiality, Linux 6.1", "the same, Linux 6.12", "RLIMIT_MEMLOCK, Linux 5.10"],
)
def test_what_the_kernel_refuses_is_not_our_mistake(log: str) -> None:
    """As stock Debian kernels say it."""
    refused = {"method": "raw", "layer": "load", "errno": -1, "text": "no", "output": log}
    finding = probe.check_program(host(refused))
    assert finding.state is State.UNKNOWN
    assert "report this" not in finding.title


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [("syscall_counts", [2, 4, 8, 3840], "map syscall_counts is"), ("pid_syscall_map", None, "no map pid_syscall_map")],
)
def test_a_map_that_is_not_as_expected_fails(name: str, shape: list[int] | None, words: str) -> None:
    lines = json.loads(json.dumps(GOOD))
    for line in lines:
        if "maps" in line:
            line["maps"].pop(name)
            line["maps"] |= {name: shape} if shape else {}
    finding = probe.check_program(host(*lines))
    assert finding.state is State.FAIL
    assert words in finding.title


def test_a_source_without_the_second_way_fails() -> None:
    finding = probe.check_program(host(*GOOD, source=SOURCE.replace("#else", "#endif")))
    assert finding.state is State.FAIL
    assert "no tracefs program for sys_enter" in finding.title


def test_counted_but_not_exactly_is_a_failure_of_that_way() -> None:
    lines = [line for line in GOOD if "made" not in line or line["method"] == "raw"]
    lost = {"method": "tracefs", "made": 1000, "counted": 990, "loss": "10 skipped", "exact": False}
    finding = probe.check_counting(host(*lines, lost))
    assert (finding.state, finding.blocks) == (State.PASS, ("tracefs",))
    assert "tracefs tracepoints, which are not needed, do not count exactly" in finding.title
    assert "1,000 calls made, 990 counted; 10 skipped" in {each.value for each in finding.evidence}
    assert [method.verdict for method in verdict.methods([finding])] == ["ready", "blocked"]


@given(st.text() | st.lists(st.sampled_from(GOOD)).map(lambda lines: "\n".join(map(json.dumps, lines))), ENDS)
@settings(max_examples=200)
def test_no_output_of_the_prober_crashes_the_checks(text: str, status: int) -> None:
    here = FakeHost({}, commands={sys.executable: Output(status, text, text)})
    assert probe.check_program(here).state in (State.PASS, State.FAIL, State.UNKNOWN)
    assert probe.check_counting(here).state in (State.PASS, State.FAIL)
    assert probe.parse(json.dumps({"method": "raw", "programs": 5, "maps": []}), 0, "")["raw"].programs == {}


def test_a_program_that_does_not_compile_is_our_mistake() -> None:
    log = "/virtual/main.c:9:5: error: use of undeclared identifier 'x'\n1 error generated.\n"
    refused = {"method": "raw", "layer": "load", "errno": -1, "text": "no", "output": log}
    assert probe.check_program(host(refused)).state is State.FAIL


def test_a_loader_that_takes_too_long_proves_nothing() -> None:
    late = {"layer": "load", "errno": -1, "text": "the loader did not answer within 50 s"}
    finding = probe.check_counting(host(late | {"method": "raw"}, late | {"method": "tracefs"}))
    assert finding.state is State.UNKNOWN
    assert "too busy to tell; look again" in finding.title
    refused = {"method": "tracefs", "layer": "map", "errno": errno.EPERM, "text": "no"}
    finding = probe.check_counting(host(late | {"method": "raw"}, refused))
    assert finding.state is State.UNKNOWN, "raw tracepoints may work, and no more is needed"
    assert "tracefs tracepoints stop at" in finding.title
    raw = [line for line in GOOD if line["method"] == "raw"]
    finding = probe.check_counting(host(*raw, late | {"method": "tracefs"}))
    assert (finding.state, finding.required_for, finding.blocks) == (State.PASS, ("raw",), ())
    assert [method.verdict for method in verdict.methods([finding])] == ["ready", "unknown"]
