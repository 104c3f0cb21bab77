"""Every row of the symptom table by the text as it was seen, and the cause as it is told by looking."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf import facts as facts_module
from denet_tui.bpf.errors import SAY_LITTLE, SYMPTOMS, Explanation, LoadError, explain
from denet_tui.bpf.facts import UNLIMITED, Facts, gather
from denet_tui.bpf.privilege import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN

BPF, PERFMON, ADMIN = 1 << CAP_BPF, 1 << CAP_PERFMON, 1 << CAP_SYS_ADMIN
EVERYTHING = (1 << 41) - 1
HEALTHY = Facts(
    uid=0,
    effective=EVERYTHING,
    bounding=EVERYTHING,
    seccomp=0,
    kernel=(6, 1),
    memlock=8 << 20,
    address_space=UNLIMITED,
    open_files=1024,
    memory_limit=UNLIMITED,
    lockdown="none",
    paranoid=3,
    tracefs="/sys/kernel/tracing",
    bpf_in_kernel=True,
)
MAP_REFUSED = LoadError(
    "compile",
    "Failed to compile BPF module <text>",
    output="could not open bpf map: pid_syscall_map, error: Operation not permitted\n",
)
LOCKED_DOWN = LoadError(
    "load",
    "sys_exit: Failed to load BPF program b'on_sys_exit': Invalid argument",
    output="8: (85) call bpf_probe_read_kernel#113\nunknown func bpf_probe_read_kernel#113\nprocessed 9 insns\n",
    method="raw",
)
"""As a stock Debian 12 with lockdown=confidentiality says it."""
EVENT_ID = "open(/sys/kernel/tracing/events/raw_syscalls/sys_enter/id)"


def told(error: LoadError, **changed: object) -> Explanation:
    explanation = explain(error, HEALTHY._replace(**changed))  # type: ignore[arg-type]
    assert "\n" not in str(explanation)
    assert "kernel headers" not in str(explanation)
    return explanation


@pytest.mark.parametrize(
    ("changed", "check_id", "says"),
    [
        ({"effective": 0, "uid": 1000}, "PRIV-001", "this process lacks CAP_BPF and CAP_PERFMON"),
        ({"effective": PERFMON}, "PRIV-001", "root lacks CAP_BPF (CapEff"),
        ({"effective": 0, "bounding": EVERYTHING & ~BPF & ~ADMIN}, "PRIV-002", "not in the bounding set"),
        ({"user_namespace": True}, "PRIV-003", "user namespace"),
        ({"seccomp": 2}, "PRIV-004", "a seccomp filter is on this process (Seccomp: 2"),
        ({"kernel": (5, 10), "memlock": 65536}, "KERN-007", "RLIMIT_MEMLOCK is 65536 bytes"),
        ({"kernel": (5, 4), "effective": BPF | PERFMON}, "PRIV-001", "lacks CAP_SYS_ADMIN"),
        ({"confined": "docker-default (enforce)"}, "PRIV-004", "docker-default (enforce)"),
        ({"security": "lockdown,selinux"}, "PRIV-004", "a security module (lockdown,selinux)"),
    ],
)
def test_a_map_that_is_refused_has_many_causes(changed: dict[str, object], check_id: str, says: str) -> None:
    explanation = told(MAP_REFUSED, **changed)
    assert explanation.check_id == check_id
    assert says in explanation.cause
    assert str(explanation).startswith("the kernel refuses bpf(2) (Operation not permitted)")


@pytest.mark.parametrize("changed", [{"kernel": (5, 10), "memlock": UNLIMITED}, {"kernel": (5, 11), "memlock": 65536}])
def test_memlock_is_blamed_only_where_it_counts(changed: dict[str, object]) -> None:
    assert told(MAP_REFUSED, **changed).check_id != "KERN-007"


ROWS = [
    (
        LoadError("load", "HINT: The RLIMIT_MEMLOCK setting may be too low. Consider increasing."),
        {"kernel": (5, 10)},
        "KERN-007",
        "Linux below 5.11 charges maps to RLIMIT_MEMLOCK, root's too; raise it (`ulimit -l unlimited` as root",
    ),
    (LoadError("load", "HINT: RLIMIT_MEMLOCK"), {}, "KERN-007", "this kernel does not, so that it is something else"),
    (
        LoadError("load", "HINT: RLIMIT_MEMLOCK", output="Operation not permitted"),
        {"effective": BPF},
        "PRIV-001",
        "root lacks CAP_PERFMON",
    ),
    (LoadError("load", "libbpf: prog 'x': failed to load: -22"), {}, "KERN-001", "(EINVAL): libbpf"),
    (LoadError("load", "libbpf: prog 'x': failed to load: -13"), {}, "PROG-001", "verifier rejects"),
    (
        LoadError("attach", "Failed to attach BPF program b'x' to raw tracepoint", method="raw"),
        {},
        "E2E-001",
        "the program is loaded, and then not attached: Failed to attach",
    ),
    (
        LoadError("attach", "Failed to attach BPF program b'x' to tracepoint", method="tracefs"),
        {},
        "FS-002",
        "use --attach-method raw",
    ),
    (
        LoadError("load", "sys_enter: Need super-user privileges to run", errno.EPERM, "Operation not permitted"),
        {"effective": BPF},
        "PRIV-001",
        "CAP_BPF is there, CAP_PERFMON is missing; run denet-tui with sudo, or add CAP_PERFMON",
    ),
    (
        LoadError(
            "load",
            "sys_enter: Failed to load BPF program b'on_sys_enter': Permission denied",
            errno.EACCES,
            "bpf: Failed to load program: Permission denied\n0: (b7) r0 = 0\nR0 invalid mem access\nprocessed 1 insns",
        ),
        {"confined": "docker-default (enforce)"},
        "PROG-001",
        "the kernel's verifier rejects the program; this is a mistake in denet-tui",
    ),
    (
        LoadError("compile", "Failed to compile", output="incomplete definition of type 'struct tracepoint__sched__x'"),
        {"tracefs": None},
        "FS-001",
        "tracefs is not mounted; `sudo mount -t tracefs tracefs /sys/kernel/tracing`",
    ),
    (
        LoadError("compile", "Failed to compile", output="incomplete definition of type 'struct tracepoint__sched__x'"),
        {"lockdown": "confidentiality"},
        "KERN-008",
        "locked down to confidentiality: tracefs is empty",
    ),
    (
        LoadError("load", "x: Invalid argument", output="program of this type cannot use helper bpf_probe_read_kernel"),
        {"lockdown": "confidentiality"},
        "KERN-008",
        "may not read its memory; boot with lockdown=integrity",
    ),
    (LOCKED_DOWN, {"lockdown": "confidentiality"}, "KERN-008", "may not read its memory; boot with lockdown=integrity"),
    (
        LoadError("attach", f"sys_enter: {EVENT_ID}: Permission denied", 13, method="tracefs"),
        {},
        "FS-002",
        "be read by",
    ),
    (
        LoadError("attach", f"sys_enter: {EVENT_ID}: No such file or directory", 2, method="tracefs"),
        {"tracefs": None},
        "FS-001",
        "tracefs is not mounted",
    ),
    (
        LoadError("attach", f"sys_enter: {EVENT_ID}: No such file or directory", 2, method="tracefs"),
        {},
        "FS-002",
        "an event is missing in /sys/kernel/tracing",
    ),
    (
        LoadError("attach", "sys_enter: perf_event_open: Permission denied", 13, method="tracefs"),
        {"effective": BPF},
        "PRIV-001",
        "lacks CAP_PERFMON",
    ),
    (
        LoadError("attach", "x", output="perf_event_open(/sys/kernel/tracing/events/a/b/id): Permission denied"),
        {"effective": BPF | PERFMON},
        "KERN-006",
        "kernel.perf_event_paranoid is 3",
    ),
    (
        LoadError("attach", "sys_enter: perf_event_open: Operation not permitted", 1, method="tracefs"),
        {"seccomp": 2},
        "PRIV-004",
        "perf_event_open is refused by a seccomp filter",
    ),
    (
        LoadError("load", "x", output="bpf_open_perf_buffer: check your kernel for PERF_COUNT_SW_BPF_OUTPUT support"),
        {"effective": BPF | PERFMON},
        "KERN-006",
        "kernel.perf_event_paranoid is 3",
    ),
    (
        LoadError(
            "compile",
            "Failed to compile BPF module <text>",
            output="chdir(/lib/modules/6.1.0-18-amd64/build): No such file or directory\n"
            "Unable to find kernel headers. Try rebuilding kernel with CONFIG_IKHEADERS=m (module)",
        ),
        {},
        "BCC-003",
        "install denet-tui again",
    ),
    (LoadError("bcc", "No module named 'bcc'"), {}, "BCC-001", "is not installed"),
    (LoadError("bcc", "cannot import name 'BPF' from 'bcc' (/x/bcc.py)"), {}, "BCC-001", "PyPI's unrelated bcc"),
    (LoadError("bcc", "/lib/libbcc.so.0: file too short"), {}, "BCC-001", "library is broken"),
    (
        LoadError("bcc", "libLLVM-14.so.1: failed to map segment from shared object; reinstall it"),
        {"address_space": 200 << 20},
        "LIM-001",
        "RLIMIT_AS is 209715200 bytes",
    ),
    (LoadError("bcc", "[Errno 24] Too many open files"), {"open_files": 5}, "LIM-001", "RLIMIT_NOFILE is 5"),
    (LoadError("load", "x", errno.ENOSYS), {"bpf_in_kernel": False}, "KERN-002", "CONFIG_BPF_SYSCALL"),
    (LoadError("load", "x", errno.ENOSYS), {"machine": "gVisor"}, "KERN-002", "this is gVisor"),
    (LoadError("load", "x", errno.ENOSYS), {"machine": "WSL1"}, "KERN-002", "this is WSL1"),
    (LoadError("load", "x", errno.ENOSYS), {"seccomp": 2}, "PRIV-004", "says a seccomp filter"),
    (LoadError("attach", "x", errno.E2BIG, method="tracefs"), {}, "OTHER-001", "64 programs"),
    (
        LoadError("compile", "x", output="could not open bpf map: m, error: Argument list too long"),
        {},
        "LIM-001",
        "map",
    ),
    (LoadError("compile", "x", errno.ENOMEM), {"memory_limit": 8 << 20}, "LIM-001", "8 MiB (memory.max)"),
    (LoadError("attach", "x", errno.EINVAL, method="raw"), {"kernel": (4, 19)}, "KERN-001", "(4.19) does not know"),
    (LoadError("attach", "sys_enter: x: Device or resource busy", errno.EBUSY), {}, "OTHER-001", "bpftool prog"),
    (LoadError("read", "maps stay empty"), {"kernel": (5, 10), "effective": 0}, "KERN-001", "keep CAP_BPF"),
    (LoadError("read", "maps stay empty"), {"pid_namespace": True}, "NS-001", "PID namespace"),
    (LoadError("loader", "the loader was killed by SIGSYS before it was done"), {"seccomp": 2}, "PRIV-004", "seccomp"),
    (
        LoadError("loader", "the loader was killed by SIGKILL before it was done"),
        {"memory_limit": 8 << 20},
        "LIM-001",
        "8 MiB (memory.max)",
    ),
    (
        LoadError("loader", "the loader was killed by SIGSEGV before it was done", output="LLVM ERROR: out of memory"),
        {"address_space": 1 << 28},
        "LIM-001",
        "RLIMIT_AS",
    ),
    (LoadError("load", "something new"), {}, "E2E-001", "something new; run `sudo denet-tui diag`"),
]


@pytest.mark.parametrize(("error", "changed", "check_id", "says"), ROWS, ids=[row[0].text[:60] for row in ROWS])
def test_each_symptom_has_its_cause(error: LoadError, changed: dict[str, object], check_id: str, says: str) -> None:
    explanation = told(error, **changed)
    assert (explanation.check_id, says in str(explanation)) == (check_id, True), str(explanation)


def test_ways_with_one_cause_are_told_once_and_with_two_both() -> None:
    refused = [
        LoadError("compile", "Failed to compile", output=MAP_REFUSED.output, method=method)
        for method in ("raw", "tracefs")
    ]
    both = LoadError("compile", "x")
    both.failures = tuple(refused)
    assert str(told(both, seccomp=2)).count("seccomp filter") == 1
    file = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/format: No such file or directory"
    both.failures = (LOCKED_DOWN, LoadError("tracefs", file, errno.ENOENT, method="tracefs"))
    assert str(told(both, lockdown="confidentiality")).count("locked down") == 1
    both.failures = (LoadError("btf", "no BTF here", method="raw"), LoadError("tracefs", "gone", 2, method="tracefs"))
    line = str(told(both, tracefs=None))
    assert line.startswith("raw: no BTF here; tracefs: tracefs is not mounted")
    assert line.endswith("run `sudo denet-tui diag`")


def test_what_the_other_way_printed_is_not_held_against_this_one() -> None:
    printed = "incomplete definition of type 'struct tracepoint__sched__x'"
    assert told(LoadError("btf", "no BTF here", output=printed, method="raw")).check_id == "KERN-009"


@given(st.text(), st.text(), st.sampled_from(["bcc", "btf", "compile", "load", "attach", "loader", "?"]), st.integers())
@pytest.mark.slow
def test_no_text_breaks_it(text: str, output: str, stage: str, number: int) -> None:
    assert "\n" not in str(explain(LoadError(stage, text, number, output), Facts()))


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["status", "limits", "uid_map", "mountinfo", "cgroup"]), st.text()))
def test_no_file_breaks_the_facts(files: dict[str, str]) -> None:
    def read(path: str) -> str:
        return files[path.rpartition("/")[2]] if path.rpartition("/")[2] in files else files.get("status", "")

    found = gather(read)
    assert Facts.of_dict(found.as_dict()) == found


def test_a_machine_without_anything_to_read_gives_no_facts() -> None:
    def nothing(path: str) -> str:
        raise OSError(errno.ENOENT, "No such file or directory", path)

    assert gather(nothing, nothing) == Facts()  # type: ignore[arg-type]


def test_facts_of_a_debian_machine() -> None:
    files = {
        "/proc/self/status": "Name:\tx\nUid:\t1000\t1001\t1000\t1000\nCapEff:\t000000c000000000\n"
        "CapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t2\n",
        "/proc/self/limits": "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max locked memory         65536                65536                bytes     \n"
        "Max address space         unlimited            unlimited            bytes     \n",
        "/proc/self/uid_map": "         0       1000          1\n",
        "/proc/sys/kernel/osrelease": "5.10.0-28-amd64\n",
        "/proc/self/mountinfo": "22 1 0:6 / /sys/kernel/tracing rw - tracefs tracefs rw\n"
        "23 1 0:7 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "/proc/self/cgroup": "0::/a/b\n",
        "/sys/fs/cgroup/a/memory.max": "8388608\n",
        "/sys/fs/cgroup/a/b/memory.max": "max\n",
        "/sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
        "/proc/sys/kernel/perf_event_paranoid": "3\n",
    }

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    found = gather(read)
    assert (found.uid, found.effective, found.no_new_privs, found.seccomp) == (1001, BPF | PERFMON, True, 2)
    assert (found.memlock, found.address_space, found.memory_limit) == (65536, UNLIMITED, 8388608)
    assert (found.user_namespace, found.kernel, found.lockdown, found.paranoid) == (True, (5, 10), "integrity", 3)
    assert (found.tracefs, found.bpf_in_kernel) == ("/sys/kernel/tracing", False)


def test_the_real_machine_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gather()
    assert found.effective is not None
    assert found.kernel >= (4, 0)
    assert found.open_files is not None
    assert facts_module.read_file("/proc/self/comm").strip()


def test_every_symptom_is_tested() -> None:
    import re

    seen = [text for row in ROWS for text in (row[0].text, row[0].output)]
    for pattern, _ in (*SYMPTOMS, *SAY_LITTLE):
        assert any(re.search(pattern, text, re.IGNORECASE) for text in seen), pattern
