"""KERN-001 to KERN-009: mostly other machines' kernels, as this one has only one."""

from __future__ import annotations

import errno
import gzip
import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf import btf, macros
from denet_tui.bpf.facts import Mount
from denet_tui.checks import kernel, limits, privileges, sysctls
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, SetValue, State, WriteFile
from tests.checks.fake import Content, FakeHost
from tests.checks.states import see

BUILT = "".join(f"CONFIG_{name}=y\n" for name in ("BPF_SYSCALL", "BPF_EVENTS", "FTRACE_SYSCALLS", "DEBUG_INFO_BTF"))
NONE, BPF_AND_PERFMON, ROOT = "0" * 16, "000000c000000000", "000001ffffffffff"
SECURITYFS = [Mount("/sys/kernel/security", "securityfs", (), ())]


def sysctl(key: str, value: Content, effective: str = ROOT, **options: object) -> FakeHost:
    files = {sysctls.path_of(key): value, "/proc/self/status": f"CapEff:\t{effective}\n"}
    return FakeHost(files | options.pop("files", {}), **options)  # type: ignore[arg-type, operator]


# KERN-001


@pytest.mark.parametrize(
    ("release", "state", "lacks"),
    [
        ("6.18.44", State.PASS, 0),
        ("5.19.0", State.PASS, 0),
        ("6.1.0-18-amd64", State.PASS, 0),
        ("5.15.0-91-generic", State.PASS, 1),
        ("5.10.0-28-amd64", State.PASS, 2),
        ("5.6.0", State.PASS, 3),
        ("5.4.300-custom", State.PASS, 4),
        ("4.18.0", State.PASS, 4),
        ("4.17", State.PASS, 4),
        ("4.16.9", State.FAIL, 4),
        ("what", State.UNKNOWN, 0),
        ("", State.UNKNOWN, 0),
    ],
)
def test_the_version_is_judged_by_feature(release: str, state: State, lacks: int) -> None:
    found = kernel.version(FakeHost(release=release))
    assert found.state is state
    texts = len(found.evidence) - 1 if state is State.FAIL else found.title.count(";")
    assert texts == lacks
    assert found.blocks == (("raw",) if state is State.FAIL else ())


def test_what_a_distribution_backported_is_not_said_to_be_missing() -> None:
    backported = FakeHost({"/proc/sys/kernel/cap_last_cap": "40"}, release="4.18.0-553.el8.x86_64")
    assert "CAP_SYS_ADMIN" not in kernel.version(backported).title
    assert "CAP_SYS_ADMIN" in kernel.version(FakeHost(release="4.18.0")).title


# KERN-002


@pytest.mark.parametrize(
    "path", ["/proc/config.gz", "/boot/config-6.1.0", "/lib/modules/6.1.0/config", "/usr/lib/modules/6.1.0/config"]
)
def test_the_configuration_is_found_wherever_it_is(path: str) -> None:
    def host(text: str) -> FakeHost:
        return FakeHost({path: gzip.compress(text.encode()) if path.endswith(".gz") else text}, release="6.1.0")

    assert kernel.config(host(BUILT)).state is State.PASS
    assert kernel.config(host(BUILT)).evidence[0].source == path
    for name in ("BPF_SYSCALL", "BPF_EVENTS"):
        found = kernel.config(host(BUILT.replace(f"CONFIG_{name}=y", f"# CONFIG_{name} is not set")))
        assert (found.state, name in found.title, found.blocks) == (State.FAIL, True, ("raw", "tracefs"))
    for name in ("FTRACE_SYSCALLS", "DEBUG_INFO_BTF"):
        found = kernel.config(host(BUILT.replace(f"CONFIG_{name}=y\n", "")))
        assert (found.state, found.blocks) == (State.WARN, ())


def test_bpf_alone_is_not_enough() -> None:
    assert kernel.config(FakeHost({"/boot/config-6.1.0": "CONFIG_BPF=y\n"}, release="6.1.0")).state is State.FAIL


def test_no_configuration_is_unknown_and_never_a_failure() -> None:
    assert kernel.config(FakeHost()).state is State.UNKNOWN
    assert kernel.config(FakeHost({"/proc/config.gz": OSError(errno.EACCES, "no")})).state is State.UNKNOWN
    assert kernel.config(FakeHost({"/proc/config.gz": b"\x1f\x8b damaged"})).state is State.UNKNOWN


def test_a_damaged_copy_does_not_hide_a_good_one() -> None:
    host = FakeHost({"/proc/config.gz": b"\x1f\x8b damaged", "/boot/config-6.1.0": BUILT}, release="6.1.0")
    assert kernel.config(host).evidence[0].source == "/boot/config-6.1.0"


def test_a_small_file_that_unpacks_to_a_huge_one_is_cut() -> None:
    host = FakeHost({"/proc/config.gz": gzip.compress(b"CONFIG_A=y\n" + bytes(16 * kernel._LARGEST_CONFIG))})
    _, text = next(kernel._configs(host))
    assert len(text) == kernel._LARGEST_CONFIG
    assert kernel.config(host).state is State.FAIL  # no BPF_SYSCALL in its beginning


def test_a_kernel_without_the_call_is_told_from_a_filter() -> None:
    files = {"/proc/self/status": "Seccomp:\t0\n"}
    gvisor = FakeHost(files, answers={"probe_bpf": errno.ENOSYS})
    assert kernel.config(gvisor).state is State.FAIL
    filtered = FakeHost({"/proc/self/status": "Seccomp:\t2\n"}, answers={"probe_bpf": errno.ENOSYS})
    assert kernel.config(filtered).state is State.UNKNOWN
    assert privileges.seccomp(gvisor).state is State.PASS
    assert privileges.seccomp(filtered).state is State.FAIL


# KERN-003 to KERN-006


@pytest.mark.root
def test_a_network_namespace_hides_the_jit_setting() -> None:
    seen = see(["unshare", "--net"], "privileges", "kernel", "limits")
    assert seen.wrong == set()
    assert seen.found["KERN-003"]["state"] == "skip"


@pytest.mark.parametrize(("value", "state"), [("0", State.WARN), ("1\n", State.PASS), ("2", State.PASS)])
def test_without_the_jit_it_works_but_slower(value: str, state: State) -> None:
    found = sysctls.jit(sysctl("net.core.bpf_jit_enable", value))
    assert (found.state, found.blocks) == (state, ())


@pytest.mark.parametrize(("value", "state"), [("0", State.WARN), ("1", State.PASS), ("2\n", State.PASS)])
def test_only_0_of_unprivileged_bpf_is_said(value: str, state: State) -> None:
    found = sysctls.unprivileged(sysctl("kernel.unprivileged_bpf_disabled", value, NONE))
    assert (found.state, found.blocks) == (state, ())


def test_who_set_it_is_said_and_a_file_of_our_own_comes_after() -> None:
    files = {
        "/etc/sysctl.d/10-ebpf.conf": "# for tracing\nkernel.unprivileged_bpf_disabled = 0\n",
        "/etc/sysctl.d/99-sysctl.conf": "kernel/unprivileged_bpf_disabled=0\n",
        "/usr/lib/sysctl.d/50.conf": "kernel.unprivileged_bpf_disabled_not = 0\n#kernel.unprivileged_bpf_disabled=1\n",
    }
    found = sysctls.unprivileged(sysctl("kernel.unprivileged_bpf_disabled", "0", files=files))
    assert [each.source for each in found.evidence[1:]] == list(files)[:2]
    until_boot, for_good = found.fixes
    value = SetValue("/proc/sys/kernel/unprivileged_bpf_disabled", "2")
    assert until_boot.changes == (value,)
    file, now = for_good.changes
    assert now == value
    assert isinstance(file, WriteFile)
    assert sorted([file.path, *files])[2] == file.path  # read last of those in /etc
    assert file.text.endswith("\nkernel.unprivileged_bpf_disabled = 2\n")  # type: ignore[union-attr]
    assert until_boot.weakens == for_good.weakens == ""


def test_kptr_restrict_is_only_said_where_another_guide_lowered_it() -> None:
    key = "kernel.kptr_restrict"
    for value in ("0", "1", "2"):
        assert sysctls.pointers(sysctl(key, value)).state is State.PASS
    leftover = {"/etc/sysctl.d/10-ebpf.conf": "kernel.kptr_restrict = 0\n"}
    found = sysctls.pointers(sysctl(key, "0", files=leftover))
    assert (found.state, found.blocks) == (State.WARN, ())
    assert all(not fix.changes for fix in found.fixes)
    assert sysctls.pointers(sysctl(key, "1", files=leftover)).state is State.PASS
    assert sysctls.pointers(sysctl(key, "0", files={"/etc/sysctl.d/9.conf": "kernel.kptr_restrict=0"})).state is (
        State.PASS
    )


@pytest.mark.parametrize(
    ("value", "effective", "answer", "state"),
    [
        ("2", BPF_AND_PERFMON, 0, State.PASS),
        ("-1", NONE, 0, State.PASS),
        ("3", BPF_AND_PERFMON, errno.EACCES, State.FAIL),
        ("4", BPF_AND_PERFMON, errno.EACCES, State.FAIL),
        ("3", BPF_AND_PERFMON, 0, State.PASS),
        ("4", BPF_AND_PERFMON, 0, State.PASS),
        ("3", BPF_AND_PERFMON, errno.EPERM, State.PASS),
        ("3", ROOT, errno.EACCES, State.PASS),
        ("3", NONE, errno.EACCES, State.PASS),
    ],
)
def test_paranoid_is_only_wrong_where_a_real_event_is_refused(
    value: str, effective: str, answer: int, state: State
) -> None:
    host = sysctl("kernel.perf_event_paranoid", value, effective, answers={"probe_perf_event": answer})
    found = sysctls.paranoid(host)
    assert (found.state, found.blocks) == (state, ("tracefs",) if state is State.FAIL else ())
    for fix in found.fixes:
        assert fix.weakens
        assert all(change.value == "2" for change in fix.changes if isinstance(change, SetValue))


def test_an_event_that_cannot_be_tried_is_unknown() -> None:
    host = sysctl("kernel.perf_event_paranoid", "3", answers={"probe_perf_event": OSError(errno.EAGAIN, "none left")})
    assert sysctls.paranoid(host).state is State.UNKNOWN


KEYS = {
    "KERN-003": "net.core.bpf_jit_enable",
    "KERN-004": "kernel.unprivileged_bpf_disabled",
    "KERN-005": "kernel.kptr_restrict",
    "KERN-006": "kernel.perf_event_paranoid",
}


@pytest.mark.parametrize("check", sysctls.CHECKS, ids=lambda check: check.id)
def test_settings_that_cannot_be_read(check: kernel.Check) -> None:
    key = KEYS[check.id]
    assert check.run(FakeHost()).state is State.SKIP
    refused = check.run(sysctl(key, OSError(errno.EACCES, "Permission denied")))
    assert (refused.state, refused.title) == (State.UNKNOWN, f"{key}: needs root")
    for content in ("", "word", b"\xff\0", "9" * 5000):
        assert check.run(sysctl(key, content)).state is State.UNKNOWN


# KERN-007

KIB64, MIB128, UNLIMITED = 65536.0, 134217728.0, float("inf")


@pytest.mark.parametrize(
    ("release", "soft", "hard", "effective", "state"),
    [
        ("5.11.0", KIB64, KIB64, NONE, State.SKIP),
        ("5.10.0", KIB64, KIB64, BPF_AND_PERFMON, State.FAIL),
        ("5.10.0", KIB64, KIB64, ROOT, State.PASS),
        ("5.10.0", KIB64, UNLIMITED, BPF_AND_PERFMON, State.PASS),
        ("5.10.0", MIB128, MIB128, BPF_AND_PERFMON, State.PASS),
        ("4.19.0", UNLIMITED, UNLIMITED, BPF_AND_PERFMON, State.PASS),
    ],
)
def test_locked_memory_matters_below_5_11_only(
    release: str, soft: float, hard: float, effective: str, state: State
) -> None:
    files = {"/proc/self/status": f"CapEff:\t{effective}\n"}
    found = kernel.memlock(FakeHost(files, release=release, limits={"MEMLOCK": (soft, hard)}))
    assert (found.state, found.blocks) == (state, ("raw", "tracefs") if state is State.FAIL else ())


# KERN-008


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("[none] integrity confidentiality\n", State.PASS),
        ("none [integrity] confidentiality\n", State.PASS),
        ("none integrity [confidentiality]\n", State.FAIL),
        ("", State.UNKNOWN),
    ],
)
def test_only_confidentiality_is_in_the_way(text: str, state: State) -> None:
    found = kernel.lockdown(FakeHost({"/sys/kernel/security/lockdown": text}))
    assert found.state is state
    assert found.blocks == (("raw", "tracefs") if state is State.FAIL else ())


def test_without_the_lockdown_file() -> None:
    assert kernel.lockdown(FakeHost(mounts=SECURITYFS)).state is State.PASS
    assert kernel.lockdown(FakeHost(mounts=[])).state is State.UNKNOWN
    assert kernel.lockdown(FakeHost()).state is State.UNKNOWN
    asked = FakeHost({"/proc/cmdline": "quiet lockdown=confidentiality ro\n"}, mounts=[])
    assert kernel.lockdown(asked).state is State.FAIL
    similar = FakeHost({"/proc/cmdline": "xlockdown=confidentiality\n"}, mounts=[])
    assert kernel.lockdown(similar).state is State.UNKNOWN


# KERN-009


@pytest.mark.skipif(not btf.VMLINUX.exists(), reason="needs a kernel with BTF")
def test_the_btf_of_this_kernel() -> None:
    assert kernel.types(Host()).state is State.PASS
    data = btf.VMLINUX.read_bytes()
    other = FakeHost({str(btf.VMLINUX): data.replace(b"\0task_struct\0", b"\0task_strukt\0")})
    other.fake_machine = platform.machine()
    found = kernel.types(other)
    assert (found.state, found.blocks) == (State.FAIL, ("raw",))
    assert "it lacks task_struct.pid" in found.title


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb\x01\x00", b"no BTF at all, but long enough for a header"])
def test_damaged_btf_is_said_to_be(data: bytes) -> None:
    found = kernel.types(FakeHost({str(btf.VMLINUX): data}))
    assert (found.state, found.blocks) == (State.FAIL, ("raw",))


def test_no_btf_leaves_tracefs() -> None:
    found = kernel.types(FakeHost())
    assert (found.state, found.blocks, "not there" in found.title) == (State.FAIL, ("raw",), True)


def test_what_is_asked_of_btf_is_what_the_loader_needs() -> None:
    by_flag = {flag: name for name, flag in macros.OFFSETS.items()}
    assert by_flag["OFF_PID"] == "task_struct.pid"
    for machine, offsets in macros.OFFSETS_OF.items():
        by_flag = {flag: name for name, flag in offsets.items()}
        assert kernel._RAW_NEEDS[machine] == by_flag["OFF_SYSCALL_NR"]


# all of them

EVERY = (*privileges.CHECKS, *kernel.CHECKS, *limits.CHECKS)
PATHS = (
    "/proc/self/status", "/proc/self/uid_map", "/proc/self/cgroup", "/proc/self/mountinfo",
    "/proc/sys/kernel/cap_last_cap", "/proc/config.gz", "/boot/config-6.1.0", "/proc/cmdline", "/etc/group",
    "/proc/sys/net/core/bpf_jit_enable", "/proc/sys/kernel/unprivileged_bpf_disabled", "/etc/sysctl.d/10-ebpf.conf",
    "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/perf_event_paranoid", "/sys/kernel/security/lockdown",
    str(btf.VMLINUX), "/usr/bin/python3", "/sys/fs/cgroup/memory.max",
)  # fmt: skip
WORDS = st.sampled_from(
    [b"CapEff:\t", b"CapBnd:", b"Seccomp: 2\n", b"ffffffffffffffff\n", b"0::/", b"..", b"\n", b" ", b"4:memory:", b"[",
     b"]", b"confidentiality", b"99999999999999999999 ", b"-1", b"3", b"denet-trace:", b"x:", b"\xd9\xa3:",
     b"CONFIG_BPF_SYSCALL=y\n", b" - cgroup2 cgroup2 rw\n", b"31 23 0:28 / /sys/fs/cgroup rw"]
)  # fmt: skip
CONTENT = st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=12).map(b"".join))


def is_whole(found: Finding, check_id: str) -> bool:
    ids = {fix.id.partition(".")[0] for fix in found.fixes}
    return found.id == check_id and bool(found.title) and "\n" not in found.title and ids <= {check_id}


@given(
    files=st.dictionaries(st.sampled_from(PATHS), CONTENT),
    attribute=st.binary(max_size=24),
    uid=st.sampled_from([0, 1000]),
    release=st.sampled_from(["6.1.0", "5.10.0", "", "x"])
    | st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8),
)
def test_no_file_makes_a_check_crash(files: dict[str, bytes], attribute: bytes, uid: int, release: str) -> None:
    host = FakeHost(files, attributes={"/usr/bin/python3": attribute}, uid=uid, release=release)
    for check in EVERY:
        assert is_whole(check.run(host), check.id)


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.id)
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * (1 << 20), b"9" * (1 << 20), b"a:" * (1 << 19)],
    ids=["empty", "no text", "digits", "a list"],  # else a megabyte of them is in each test's name
)
def test_neither_empty_nor_huge_files_make_a_check_crash(check: kernel.Check, content: bytes) -> None:
    assert is_whole(check.run(FakeHost(dict.fromkeys(PATHS, content), release="6.1.0")), check.id)


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.id)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOENT, errno.ELOOP, errno.ENOTDIR])
def test_no_error_makes_a_check_crash_and_nothing_unread_blocks(check: kernel.Check, number: int) -> None:
    found = check.run(FakeHost(dict.fromkeys(PATHS, number)))
    assert is_whole(found, check.id)
    assert found.blocks == () or (check.id, number) == ("KERN-009", errno.ENOENT)  # not there is not unread


def test_the_ids_are_those_of_the_catalogue() -> None:
    ids = [check.id for check in EVERY]
    numbers = {"PRIV": 7, "KERN": 9}
    wanted = [f"{kind}-{n:03}" for kind, last in numbers.items() for n in range(1, last + 1)]
    assert ids == [*wanted, "LIM-001", "NS-001", "NS-002"]


def test_no_file_of_these_checks_is_long() -> None:
    folder = Path(kernel.__file__).parent
    for name in ("privileges", "installed", "kernel", "sysctls", "limits", "calls", "capabilities"):
        assert len((folder / f"{name}.py").read_text().splitlines()) < 400
