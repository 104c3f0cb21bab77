"""bcc missing, shadowed, broken, old; the shim; kernels that are installed and not running."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.bpf import toolchain as found_by
from denet_tui.checks import toolchain
from denet_tui.checks.host import Host, Output
from denet_tui.checks.model import Finding, RunCommand, State
from denet_tui.helper import check_runner
from tests.checks.fake import Content, FakeHost
from tests.checks.states import see

SCRATCH = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/up /mnt/work && "
OVERLAY = "mount -t overlay overlay -o lowerdir=/usr/lib,upperdir=/mnt/up,workdir=/mnt/work /usr/lib || exit 97; "
SHIM = {f"{toolchain.BPF_FOLDER}/include/{name}": "" for name in toolchain.SHIM} | {
    f"{toolchain.BPF_FOLDER}/kernel/{name}": "" for name in toolchain.PROGRAM
}
GOOD = {"folder": "/usr/lib/python3/dist-packages/bcc", "version": "0.26.0", "library": "/usr/lib/libbcc.so.0.26.0"}
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


def in_namespace(script: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", f'{SCRATCH} {script} exec "$@"', "sh"]


def asked(answer: dict[str, str] | str, status: int = 0, **files: Content) -> FakeHost:
    """A machine where the import in a process of its own says this."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return FakeHost(
        {"/etc/os-release": DEBIAN, "/usr/bin/apt-get": "", **files},
        modes={"/usr/bin/apt-get": 0o755},
        commands={sys.executable: Output(status, text, "Segmentation fault\n" if status else "")},
    )


def argv(finding: Finding) -> list[str]:
    return [" ".join(each.argv) for fix in finding.fixes for each in fix.changes if isinstance(each, RunCommand)]


@pytest.mark.root
def test_here_bcc_loads_and_its_library_stays_out_of_this_process() -> None:
    found = {check.id: check.run(Host()) for check in toolchain.CHECKS}
    assert {found[name].state for name in ("BCC-001", "BCC-002", "BCC-003")} == {State.PASS}
    assert "libbcc" not in Path("/proc/self/maps").read_text()
    assert "libbcc.so" in found["BCC-001"].evidence[1].value


@pytest.mark.root
def test_pypi_s_bcc_in_the_place_of_the_real_one_is_told_from_it() -> None:
    script = f"mkdir /mnt/bcc; : > /mnt/bcc/__init__.py; mount --bind /mnt/bcc {found_by.find().folder};"
    seen = see(in_namespace(script), "toolchain")
    assert "BCC-001" in seen.wrong
    assert "PyPI's" in seen.found["BCC-001"]["title"]
    assert [name for name, _ in seen.found["BCC-001"]["fixes"]] == ["BCC-001.reinstall"]


@pytest.mark.root
def test_pypi_s_bcc_first_on_the_path_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text("raise SystemExit('wrong one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    seen = see([], "toolchain", "probe")
    assert {"BCC-001", "PROG-001"} <= seen.ids("pass")


@pytest.mark.root
@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("rm -rf /usr/lib/modules; :;", "No such file or directory; not needed"),
        ("rm -rf /usr/lib/modules; ln -s /nowhere /usr/lib/modules;", "No such file or directory; not needed"),
        ("rm -rf /usr/lib/modules; mkdir /usr/lib/modules;", "empty; not needed"),
        ("rm -rf /usr/lib/modules; mkdir -p /usr/lib/modules/1.2.3-wrong/build;", "1.2.3-wrong"),
    ],
    ids=["missing", "dangling", "empty", "wrong"],
)
def test_lib_modules_may_be_anything(script: str, note: str) -> None:
    proof = ["probe"] if "nowhere" in script or "wrong" in script else []  # the others would show no more
    seen = see(in_namespace(f"{OVERLAY} {script}"), "toolchain", *proof)
    assert dict(seen.found["BCC-004"]["evidence"])["/lib/modules"] == note
    assert seen.ids("pass") >= {"BCC-001", "BCC-003", "BCC-004", *(["PROG-001"] if proof else [])}


@pytest.mark.parametrize(
    ("answer", "status", "title", "fix"),
    [
        ({"error": "bcc (the BPF Compiler Collection) is not installed; install it: …"}, 0, "not installed", "install"),
        ({"error": "bcc in /x does not load (libbcc.so.0: file too short); …"}, 0, "broken", "reinstall"),
        ("", -11, "broken", "reinstall"),
        ("garbage\n[1]\n", 1, "broken", "reinstall"),
        ({"error": "the bcc in /x is not the BPF Compiler Collection (…)"}, 0, "PyPI's", "install"),
    ],
)
def test_what_is_wrong_with_bcc(answer: dict[str, str] | str, status: int, title: str, fix: str) -> None:
    finding = toolchain.check_import(asked(answer, status))
    assert finding.blocks == ("raw", "tracefs")
    assert title in finding.title
    assert [each.id for each in finding.fixes] == [f"BCC-001.{fix}"]
    if status < 0:
        assert finding.evidence[0].value == "importing bcc was killed by SIGSEGV: Segmentation fault"


@pytest.mark.parametrize(
    ("release", "program", "command"),
    [
        ("ID=debian", "apt-get", "apt-get install -y --no-install-recommends python3-bpfcc"),
        (
            "ID=linuxmint\nID_LIKE='ubuntu debian'",
            "apt-get",
            "apt-get install -y --no-install-recommends python3-bpfcc",
        ),
        ("ID=fedora", "dnf", "dnf install -y python3-bcc"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "dnf", "dnf install -y python3-bcc"),
        ("ID=arch", "pacman", "pacman -S --noconfirm --needed python-bcc"),
        ('ID="opensuse-tumbleweed"', "zypper", "zypper --non-interactive install python3-bcc"),
        ("ID=alpine", "apk", "apk add py3-bcc"),
    ],
)
def test_each_package_manager_installs_shows_its_output_and_can_take_it_back(
    release: str, program: str, command: str
) -> None:
    here = asked({"error": "bcc is not installed"})
    here.files = {"/etc/os-release": release, f"/usr/bin/{program}": ""}
    here.modes = {f"/usr/bin/{program}": 0o755}
    finding = toolchain.check_import(here)
    assert argv(finding) == [f"/usr/bin/{command}"]
    (change,) = finding.fixes[0].changes
    assert isinstance(change, RunCommand)
    assert change.undo
    assert change.undo[0] == f"/usr/bin/{program}"
    assert change.undo[-1] == change.argv[-1]


@pytest.mark.parametrize(("said", "fix"), [("installed", "reinstall"), ("config-files", "install"), ("", "install")])
def test_what_is_installed_and_not_found_is_put_there_anew(said: str, fix: str) -> None:
    """To install it once more would change nothing: its manager calls it installed."""
    here = asked({"error": "bcc (the BPF Compiler Collection) is not installed; install it: apt-get"})
    here.files["/usr/bin/dpkg-query"], here.modes["/usr/bin/dpkg-query"] = "", 0o755
    here.commands["/usr/bin/dpkg-query"] = Output(0 if said else 1, said, "")
    finding = toolchain.check_import(here)
    assert [each.id for each in finding.fixes] == [f"BCC-001.{fix}"]
    assert ("python3-bpfcc is installed" in finding.title) == (fix == "reinstall")
    assert ("--reinstall libbpfcc python3-bpfcc" in argv(finding)[0]) == (fix == "reinstall")


def test_an_unknown_distribution_gets_words() -> None:
    here = asked({"error": "bcc is not installed"})
    here.files["/etc/os-release"] = "ID=of-my-own"
    (fix,) = toolchain.check_import(here).fixes
    assert fix.changes == ()
    assert fix.advice


def test_empty_package_lists_are_said() -> None:
    here = asked({"error": "bcc is not installed"})
    here.folders.add("/var/lib/apt/lists/partial")
    assert "apt-get update" in toolchain.check_import(here).fixes[0].advice
    here.files["/var/lib/apt/lists/deb.debian.org_dists_bookworm_main_binary-amd64_Packages"] = ""
    assert toolchain.check_import(here).fixes[0].advice == ""


@pytest.mark.parametrize(
    ("version", "library", "state", "words"),
    [
        ("0.26.0", "/usr/lib/libbcc.so.0.26.0", State.PASS, "bcc 0.26.0"),
        ("0.18.0", "/usr/lib/libbcc.so.0.18.0", State.PASS, "bcc 0.18.0"),
        ("0.37.0", "/usr/lib/libbcc.so.0.37.0", State.PASS, "bcc 0.37.0"),
        ("0.12.0", "/usr/lib/libbcc.so.0.12.0", State.WARN, "older"),
        ("0.99.1", "/usr/lib/libbcc.so.0.99.1", State.PASS, "newer"),
        ("0.31.0", "/usr/local/lib/libbcc.so.0.26.0", State.WARN, "two installations"),
        ("unknown", "/usr/lib/libbcc.so.0.31.0", State.PASS, "bcc 0.31.0"),
        ("unknown", "", State.UNKNOWN, "does not say"),
        ("9" * 5000, "", State.UNKNOWN, "does not say"),
    ],
)
def test_versions(version: str, library: str, state: State, words: str) -> None:
    finding = toolchain.check_version(asked(GOOD | {"version": version, "library": library}))
    assert finding.state is state
    assert words in finding.title


def test_the_shim_is_whole_and_every_header_of_it_is_asked_for() -> None:
    folder = Path(toolchain.BPF_FOLDER, "include")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.h")} == set(toolchain.SHIM)
    assert {path.name for path in folder.with_name("kernel").iterdir()} == set(toolchain.PROGRAM)
    assert toolchain.check_headers(FakeHost(SHIM)).state is State.PASS


@pytest.mark.parametrize("name", ["include/linux/types.h", "kernel/file_names.c"])
def test_a_shim_that_cannot_be_read_fails(name: str) -> None:
    path = f"{toolchain.BPF_FOLDER}/{name}"
    finding = toolchain.check_headers(FakeHost(SHIM | {path: errno.EACCES}))
    assert finding.blocks == ("raw", "tracefs")
    assert finding.evidence[0].source == path
    assert finding.fixes[0].advice


@pytest.mark.parametrize(
    ("running", "modules", "newest"),
    [
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-21-amd64", "6.1.0-9-amd64"], "6.1.0-21-amd64"),
        ("6.1.0-21-amd64", ["6.1.0-18-amd64", "6.1.0-9-amd64"], ""),
        ("6.1.0-18-amd64", ["6.1.0-21-cloud-amd64", "6.1.0-21-rt-amd64"], ""),
        ("6.5.6-300.fc39.x86_64", ["6.5.6-300.fc39.x86_64", "6.8.9-100.fc40.x86_64"], "6.8.9-100.fc40.x86_64"),
        ("6.9.7-arch1-1", ["6.10.2-arch1-1"], "6.10.2-arch1-1"),
        ("6.8.0-31-generic", ["6.8.0-101-generic", "0-rescue-1234"], "6.8.0-101-generic"),
    ],
)
def test_a_newer_kernel_that_is_installed_waits_for_a_reboot(running: str, modules: list[str], newest: str) -> None:
    here = FakeHost(folders=[f"/lib/modules/{name}" for name in modules], release=running)
    finding = toolchain.check_reboot(here)
    assert finding.state is (State.WARN if newest else State.PASS)
    assert newest in finding.title
    assert finding.blocks == ()


def test_boot_and_package_lists_count_as_well() -> None:
    here = FakeHost({"/boot/vmlinuz-6.1.0-20-amd64": "", "/boot/config-6.9.0-1-amd64": ""}, release="6.1.0-18-amd64")
    assert "6.1.0-20-amd64" in toolchain.check_reboot(here).title
    here.files["/usr/bin/dpkg-query"], here.modes["/usr/bin/dpkg-query"] = "", 0o755
    here.commands["/usr/bin/dpkg-query"] = (
        "installed linux-image-6.1.0-25-amd64\nconfig-files linux-image-6.1.0-30-amd64\ninstalled linux-image-amd64\n"
    )
    assert "6.1.0-25-amd64" in toolchain.check_reboot(here).title


@given(st.text(), st.lists(st.text(max_size=30), max_size=5), st.text(), st.integers(-70, 300))
@settings(max_examples=200)
def test_nothing_that_a_machine_says_crashes_a_check(text: str, names: list[str], release: str, status: int) -> None:
    here = asked(text, status)
    here.fake_release = release
    here.files |= {"/etc/os-release": text, "/usr/bin/dpkg-query": ""} | {f"/boot/vmlinuz-{name}": "" for name in names}
    here.modes["/usr/bin/dpkg-query"] = 0o755
    here.commands["/usr/bin/dpkg-query"] = Output(status, text, text)
    found = [check.run(here) for check in toolchain.CHECKS]
    assert [each.id for each in found] == ["BCC-001", "BCC-002", "BCC-003", "BCC-004"]
    assert all("\n" not in each.title for each in found[:3])


def test_bcc_is_tried_once_for_the_two_checks_that_ask() -> None:
    tried: list[str] = []

    class Counting(FakeHost):
        def run(self, argv: Sequence[str], seconds: float = 5.0) -> Output:
            tried.append(argv[-1])
            return Output(0, '{"folder": "/x", "version": "0.26.0", "library": "/x/libbcc.so.0.26.0"}', "")

    host = Counting()
    for _ in range(2):
        found = check_runner.run(host, ["BCC-001", "BCC-002"])
        assert [each.state for each in found] == [State.PASS, State.PASS]
    assert tried == ["bcc", "bcc"], "once a run; the next run tries anew"
