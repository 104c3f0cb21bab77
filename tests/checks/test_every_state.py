"""Every broken state that can be made here: the whole catalogue names the cause, and nothing healthy fails."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import cache

import pytest

from denet_tui.bpf import toolchain
from tests.checks.states import Seen, filtered, nobody, see, without
from tests.real import NOTHING_COMPILED, WITH_TRACEFS

pytestmark = [pytest.mark.root, pytest.mark.slow]

MODULES = ("privileges", "kernel", "limits", "tracefs", "toolchain", "leftovers", "drift", "probe")


def mounted(script: str = "", then: Sequence[str] = ()) -> list[str]:
    """In a mount namespace of its own: tracefs mounted, then a script that makes the state."""
    return ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs /mnt; {script}\n{WITH_TRACEFS}", "sh", *then]


def without_tracefs(script: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", f'umount -q /sys/kernel/tracing; {script} exec "$@"', "sh"]


def bcc(script: str) -> list[str]:
    try:
        folder = toolchain.find().folder
    except toolchain.ToolchainError:
        folder = "/nowhere"
    return mounted(script.replace("BCC", str(folder)))


LIBBCC = """
: > /mnt/empty
for each in /usr/lib*/libbcc.so.0.* /usr/lib*/*/libbcc.so.0.*; do [ ! -e $each ] || mount --bind /mnt/empty $each; done
"""
OVERLAY = (
    "mkdir /mnt/u /mnt/w; mount -t overlay overlay -o lowerdir=/usr,upperdir=/mnt/u,workdir=/mnt/w /usr || exit 97;"
)
SETTINGS = "kernel.unprivileged_bpf_disabled=0\\nkernel.kptr_restrict=0\\n"
STUB = "mkdir /mnt/bcc; : > /mnt/bcc/__init__.py; mount --bind /mnt/bcc BCC;"
ETC = "cp -a /etc/. /mnt/ 2> /dev/null; mount --bind /mnt /etc;"
PYTHON = f"cp {sys.executable} /mnt/python3; setcap cap_bpf+ep /mnt/python3; PATH=/mnt:$PATH;"

# How to make it, the ids that fail, and the ids that warn.
STATES: dict[str, tuple[list[str], str, str]] = {
    "nobody": (mounted(then=nobody()), "PRIV-001 E2E-001", ""),
    "BPF only": (mounted(then=nobody("bpf")), "PRIV-001 E2E-001", ""),
    "PERFMON only": (mounted(then=nobody("perfmon")), "PRIV-001 E2E-001", ""),
    "BPF and PERFMON": (mounted(then=nobody("bpf", "perfmon")), "", ""),
    "SYS_ADMIN": (mounted(then=nobody("sys_admin")), "", ""),
    "root, bounding set cut": (
        mounted(then=without("bpf", "perfmon", "sys_admin")),
        "PRIV-002 E2E-001",
        "",
    ),
    "BPF, PERFMON and DAC_READ_SEARCH, with no_new_privs": (
        mounted(then=nobody("bpf", "perfmon", "dac_read_search", more=["--no-new-privs"])),
        "",
        "",
    ),
    "no_new_privs, without": (mounted(then=nobody(more=["--no-new-privs"])), "PRIV-002 E2E-001", ""),
    "user namespace": (mounted(then=["unshare", "-Ur"]), "PRIV-003 E2E-001", ""),
    "PID namespace": (mounted(then=["unshare", "--pid", "--fork", "--mount-proc"]), "", "NS-001"),
    "network namespace": (mounted(then=["unshare", "--net"]), "", ""),
    "bpf refused with EPERM": (mounted(then=filtered("bpf", "EPERM")), "PRIV-004 E2E-001", ""),
    "bpf refused with ENOSYS": (mounted(then=filtered("bpf", "ENOSYS")), "PRIV-004 E2E-001", ""),
    "bpf answered with a kill": (mounted(then=filtered("bpf", "kill")), "PRIV-004 E2E-001", ""),
    "perf_event_open refused with EPERM": (mounted(then=filtered("perf_event_open", "EPERM")), "", ""),
    "perf_event_open refused with ENOSYS": (
        mounted(then=filtered("perf_event_open", "ENOSYS")),
        "",
        "",
    ),
    "RLIMIT_NOFILE 5": (mounted(then=["prlimit", "--nofile=5"]), "LIM-001 E2E-001", ""),
    "RLIMIT_AS 200 MB": (mounted(NOTHING_COMPILED, then=["prlimit", f"--as={200 << 20}"]), "LIM-001 E2E-001", ""),
    "tracefs not mounted": (without_tracefs(""), "", ""),
    "/sys gone": (without_tracefs("mount -t tmpfs tmpfs /sys;"), "KERN-009 E2E-001", ""),
    "libbcc an empty file": (bcc(LIBBCC), "BCC-001 E2E-001", ""),
    "bcc gone": (bcc("mount -t tmpfs tmpfs BCC;"), "BCC-001 E2E-001", ""),
    "bcc another package": (bcc(STUB), "BCC-001 E2E-001", ""),
    "/lib/modules missing": (mounted(f"{OVERLAY} rm -rf /usr/lib/modules;"), "", ""),
    "/lib/modules dangling": (mounted(f"{OVERLAY} rm -rf /usr/lib/modules; ln -s /nowhere /usr/lib/modules;"), "", ""),
    "/lib/modules of another kernel": (mounted(f"{OVERLAY} mkdir -p /usr/lib/modules/1.2.3-wrong;"), "", ""),
    "an interpreter with capabilities": (mounted(PYTHON), "PRIV-007", ""),
    "another guide's settings": (
        mounted(f'{ETC} printf "{SETTINGS}" > /etc/sysctl.d/10-ebpf.conf;'),
        "",
        "KERN-005 LEFT-001",
    ),
}

NOT_OF_THE_PROOF = {
    "an interpreter with capabilities",
    "another guide's settings",
    *(name for name in STATES if name.startswith("/lib/modules")),
}
"""They change nothing that loading or counting comes upon, so that the proof would only take its time (it is made
without /lib/modules in test_toolchain.py)."""


@pytest.fixture(scope="module")
def healthy() -> Seen:
    """This machine as it is: what a distribution of its own makes of it is no finding of a state."""
    return see(mounted(), *MODULES)


def test_nothing_is_in_the_way_here(healthy: Seen) -> None:
    assert healthy.ids("crash") == set()
    assert [each["id"] for each in healthy.found.values() if "raw" in each["blocks"]] == []


@cache
def whole(name: str) -> Seen:
    """All findings of a state, looked at once for all tests."""
    return see(STATES[name][0], *(each for each in MODULES if each != "probe" or name not in NOT_OF_THE_PROOF))


@pytest.mark.parametrize("name", STATES)
def test_the_cause_is_named_and_nothing_healthy_fails(name: str, healthy: Seen) -> None:
    state, fails, warns = STATES[name]
    if any("setcap" in word for word in state) and not shutil.which("setcap"):
        pytest.skip("needs setcap")
    seen = whole(name)
    assert [each for each in seen.found.values() if each["state"] == "crash"] == []
    assert seen.shown("fail") - healthy.shown("fail") == set(fails.split())
    assert seen.shown("warn") - healthy.shown("warn") == set(warns.split())
    # Whatever fails is why it does not work, or a hole; what only another way lacks is no more than optional.
    counted = seen.found.get("E2E-001", {"blocks": ["raw", "tracefs"]})
    blocking = [each for each in seen.found.values() if each["shown"] == "fail" and each["blocks"]]
    assert {"raw", "tracefs"} <= set(counted["blocks"]) or not blocking


# The proof: at which layer each way stops, and with which errno


def of_proof(ids: set[str]) -> set[str]:
    """Those of the proof and of tracefs."""
    return {each for each in ids if each.startswith(("E2E-", "PROG-", "FS-"))}


def layer(seen: Seen, words: str) -> str:
    return next(value for source, value in seen.found["E2E-001"]["evidence"] if words in source)


def test_here_both_ways_count_exactly(healthy: Seen) -> None:
    seen = healthy
    assert of_proof(seen.wrong) == set()
    assert layer(seen, "raw: counting") == layer(seen, "tracefs: counting") == "1,000 calls made, 1,000 counted"
    program = dict(seen.found["PROG-001"]["evidence"])
    assert program["raw: map syscall_counts"] == "type 6, key 4 B, value 8 B, 3840 entries"
    assert program["raw: map pid_syscall_map"] == "type 1, key 8 B, value 240 B, 57344 entries"


def test_nobody_stops_at_the_first_map() -> None:
    seen = whole("nobody")
    assert seen.found["E2E-001"]["blocks"] == ["raw", "tracefs"]
    assert layer(seen, "raw: creating a map").startswith("EPERM: ")
    assert layer(seen, "raw: creating a map").endswith("PRIV-001 to PRIV-004 say which)")
    assert layer(seen, "tracefs: reading").startswith("EACCES: ")
    assert seen.found["PROG-001"]["state"] == "unknown"
    assert "needs root" in seen.found["PROG-001"]["title"]


def test_perfmon_alone_stops_at_the_first_map() -> None:
    seen = whole("PERFMON only")
    assert seen.found["E2E-001"]["blocks"] == ["raw", "tracefs"]
    assert layer(seen, "raw: creating a map").startswith("EPERM: ")


def test_bpf_alone_stops_at_the_program() -> None:
    seen = whole("BPF only")
    assert layer(seen, "raw: creating a map") == "done"
    assert layer(seen, "raw: loading a program").startswith("EPERM: ")
    assert "CAP_PERFMON" in layer(seen, "raw: loading a program")


def test_bpf_and_perfmon_are_enough_for_raw_tracepoints_only() -> None:
    seen = whole("BPF and PERFMON")
    assert seen.found["E2E-001"]["blocks"] == ["tracefs"]
    assert layer(seen, "raw: counting") == "1,000 calls made, 1,000 counted"
    assert seen.found["PROG-001"]["state"] == "pass"
    assert (of_proof(seen.wrong), of_proof(seen.wrong_as_shown)) == ({"FS-002"}, set())
    assert seen.found["FS-002"]["blocks"] == ["tracefs"]


def test_perf_event_open_refused_leaves_raw_tracepoints() -> None:
    seen = whole("perf_event_open refused with EPERM")
    assert of_proof(seen.wrong) == set()
    assert seen.found["E2E-001"]["blocks"] == ["tracefs"]
    assert layer(seen, "tracefs: attaching").startswith("EPERM: ")
    assert "PRIV-004" in layer(seen, "tracefs: attaching")


@pytest.mark.parametrize(("how", "word"), [("EPERM", "EPERM: "), ("ENOSYS", "ENOSYS: ")])
def test_bpf_refused_by_seccomp_stops_both(how: str, word: str) -> None:
    seen = whole(f"bpf refused with {how}")
    assert seen.found["E2E-001"]["blocks"] == ["raw", "tracefs"]
    assert layer(seen, "raw: creating a map").startswith(word)


def test_bpf_answered_with_a_kill_ends_the_prober_alone() -> None:
    seen = whole("bpf answered with a kill")
    assert seen.found["E2E-001"]["blocks"] == ["raw", "tracefs"]
    assert layer(seen, "raw: the probe") == "was killed by SIGSYS"


def test_a_user_namespace_stops_both() -> None:
    seen = whole("user namespace")
    assert seen.found["E2E-001"]["blocks"] == ["raw", "tracefs"]
    assert layer(seen, "raw: creating a map").startswith("EPERM: ")


def test_a_pid_namespace_leaves_raw_tracepoints() -> None:
    seen = whole("PID namespace")
    assert seen.found["E2E-001"]["blocks"] == ["tracefs"]
    assert layer(seen, "raw: counting") == "1,000 calls made, 1,000 counted"
    assert "inside a PID namespace" in layer(seen, "tracefs: compiling")


def test_a_libbcc_that_is_an_empty_file_is_broken_and_reinstalled() -> None:
    seen = whole("libbcc an empty file")
    wrong = {each for each in seen.wrong if each.startswith("BCC-")} | of_proof(seen.wrong)
    assert {"BCC-001", "E2E-001"} <= wrong <= {"BCC-001", "E2E-001", "PROG-001"}
    assert seen.found["BCC-001"]["blocks"] == ["raw", "tracefs"]
    assert "file too short" in seen.found["BCC-001"]["evidence"][0][1]
    assert [name for name, _ in seen.found["BCC-001"]["fixes"]] == ["BCC-001.reinstall"]
    assert seen.found["BCC-002"]["state"] == "skip"
