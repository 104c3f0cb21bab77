"""bcc and libbcc, the header shim, and whether the kernel that runs is the one that is installed."""

from __future__ import annotations

import errno
import json
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denet_tui import bpf
from denet_tui.bpf import toolchain
from denet_tui.checks.host import Host
from denet_tui.checks.host import program as find
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, RunCommand, State
from denet_tui.checks.shared import Shared
from denet_tui.syscalls import how_ended
from denet_tui.system import called

BPF_FOLDER = str(Path(bpf.__file__).parent)
SHIM = (
    "asm/page.h",
    "linux/bpf_common.h",
    "linux/kconfig.h",
    "linux/log2.h",
    "linux/types.h",
    "linux/version.h",
    "uapi/linux/bpf.h",
    "uapi/linux/if_packet.h",
    "uapi/linux/ptrace.h",
)
"""Headers that stand in for the kernel's, below include/."""
PROGRAM = (
    "accounts.c",
    "allowed.c",
    "calls.c",
    "cgroups.c",
    "enrol.c",
    "execs.c",
    "failed_paths.c",
    "file_counts.c",
    "file_entry.c",
    "file_identity.c",
    "file_maps.c",
    "file_names.c",
    "file_peers.c",
    "lives.c",
    "maps.c",
    "namespaces.c",
    "numbers.c",
    "paths.c",
    "processes.c",
    "program.c",
    "reading.c",
    "rows.c",
    "slow_calls.c",
    "tasks.c",
    "times.c",
    "tracepoints.c",
)
"""What is compiled, below kernel/."""
OLDEST, NEWEST = (0, 18), (0, 37)
"""Versions of bcc that denet-tui was run with."""
_WHY_BCC = "bcc, the BPF Compiler Collection, compiles the BPF program and loads it. It comes with the distribution."


@dataclass(frozen=True, slots=True)
class Manager:
    """How a package manager installs bcc, and puts it there anew; who it is for, by ID of os-release."""

    program: str
    distributions: frozenset[str]
    library: str
    """Package that libbcc.so is in."""
    install: tuple[str, ...]
    reinstall: tuple[str, ...]
    remove: tuple[str, ...]
    query: tuple[str, ...]
    """Program and words that, before a package's name, say whether it is installed."""

    @property
    def package(self) -> str:
        """The package that bcc is in."""
        return toolchain.PACKAGES[self.program]


MANAGERS = (
    Manager(
        "apt-get",
        frozenset({"debian", "ubuntu"}),
        "libbpfcc",
        ("install", "-y", "--no-install-recommends"),
        ("install", "-y", "--reinstall"),
        ("purge", "-y"),
        ("dpkg-query", "-W", "-f=${db:Status-Status}"),
    ),
    Manager(
        "dnf",
        frozenset({"fedora", "rhel", "centos"}),
        "bcc",
        ("install", "-y"),
        ("reinstall", "-y"),
        ("remove", "-y"),
        ("rpm", "-q"),
    ),
    Manager(
        "pacman",
        frozenset({"arch", "archlinux"}),
        "bcc",
        ("-S", "--noconfirm", "--needed"),
        ("-S", "--noconfirm"),
        ("-Rn", "--noconfirm"),
        ("pacman", "-Qq"),
    ),
    Manager(
        "zypper",
        frozenset({"suse", "opensuse", "sles"}),
        "libbcc0",
        ("--non-interactive", "install"),
        ("--non-interactive", "install", "--force"),
        ("--non-interactive", "remove"),
        ("rpm", "-q"),
    ),
    Manager("apk", frozenset({"alpine"}), "bcc", ("add",), ("fix", "--reinstall"), ("del",), ("apk", "info", "-e")),
)


def manager(host: Host) -> tuple[Manager, str] | None:
    """The package manager of this distribution and its absolute path; None if none of MANAGERS fits."""
    try:
        text = host.read("/etc/os-release")
    except OSError:
        text = ""
    fields = dict(re.findall(r"""^(ID|ID_LIKE)=["']?([^"'\n]*)""", text, re.MULTILINE))
    names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    for name in names:
        for each in MANAGERS:
            if name.partition("-")[0] in each.distributions and (path := find(host, each.program)):
                return each, path
    return None


_LIMITS = ("Too many open files", "failed to map segment", "Cannot allocate memory", "MemoryError")
"""What running into RLIMIT_NOFILE, RLIMIT_AS or a memory cgroup looks like: bcc itself may be well."""


def looked_at(host: Host) -> dict[str, Any]:
    """What prober.bcc says, run in a process of its own; `{"error"}` where that died."""
    done = host.run([sys.executable, "-IB", "-m", "denet_tui.bpf.prober", "bcc"], seconds=20)
    for line in reversed(done.stdout.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
    last = (done.stderr.strip().splitlines() or [""])[-1]
    how = how_ended(done.status)
    return {"error": f"importing bcc {how}: {last}" if last else f"importing bcc {how}"}


_shared = Shared(looked_at)


def check_import(host: Host) -> Finding:
    """BCC-001: the distribution's bcc is there, and it and libbcc load."""
    found = _shared.look(host, "BCC-001")
    if "error" not in found and found.get("folder"):
        seen = (Evidence("import bcc", f"{found['folder']} ({found.get('version')})"), _library(found))
        return Finding("BCC-001", State.PASS, f"bcc {found.get('version')} is there and loads", seen, _WHY_BCC, BOTH)
    return _unusable(host, found.get("error", "no answer"))


def remedy(host: Host, text: str) -> tuple[str, str]:
    """What BCC-001 says of a failure to import bcc where it is installed already, and what to do; both empty else.

    To install what is installed would change nothing.
    """
    finding = _unusable(host, text)
    fix = next((fix for fix in finding.fixes if fix.id == "BCC-001.reinstall"), None)
    if fix is None:
        return "", ""
    change = next((each for each in fix.changes if isinstance(each, RunCommand)), None)
    return finding.title, f"{fix.title}: {called.rooted(shlex.join(change.argv))}" if change else fix.advice


def _unusable(host: Host, text: str) -> Finding:
    if any(limit in text for limit in _LIMITS):
        title = "bcc could not be tried: this process has too little room for it (LIM-001)"
        return Finding("BCC-001", State.UNKNOWN, title, (Evidence("import bcc", text),), _WHY_BCC, BOTH)
    broken = "does not load" in text or text.startswith("importing bcc")
    package = _installed_package(host)
    if broken:
        title = "bcc is there, but it or its library libbcc is broken"
    elif "not the BPF Compiler Collection" in text:
        title = "the only bcc here is PyPI's, an unrelated package of that name"
    elif package:
        title = f"{package} is installed, but bcc is not where it belongs: its files are damaged, or a mount hides them"
    else:
        title = "bcc is not installed"
    fixes = _reinstall(host) if broken or package else _install(host)
    return Finding("BCC-001", State.FAIL, title, (Evidence("import bcc", text),), _WHY_BCC, BOTH, fixes)


def _library(found: dict[str, Any]) -> Evidence:
    return Evidence("libbcc in /proc/self/maps", found.get("library") or "not mapped")


def _install(host: Host) -> tuple[Fix, ...]:
    which = manager(host)
    if which is None:
        advice = f"Install {toolchain.install_command().removeprefix('sudo ')} with your package manager."
        return (Fix("BCC-001.install", "install bcc", (), "permanent", "remove the package", advice=advice),)
    chosen, path = which
    change = RunCommand((path, *chosen.install, chosen.package), undo=(path, *chosen.remove, chosen.package))
    advice = ""
    if chosen.program == "apt-get" and not _has_lists(host):
        advice = "The package lists are empty: run `apt-get update` first."
    title = f"install {chosen.package}"
    undo = "remove the packages that were not there before, and no others"
    return (Fix("BCC-001.install", title, (change,), "permanent", undo, advice=advice),)


def _installed_package(host: Host) -> str:
    """Name of the package of bcc where its manager calls it installed; to install it again would change nothing."""
    which = manager(host)
    if which is None or not (query := find(host, which[0].query[0])):
        return ""
    done = host.run([query, *which[0].query[1:], which[0].package])
    is_there = not done.status and done.stdout.strip() not in ("not-installed", "config-files")
    return which[0].package if is_there else ""


def _has_lists(host: Host) -> bool:
    try:
        return any(name.endswith(("_Packages", "_Packages.lz4")) for name in host.names("/var/lib/apt/lists"))
    except OSError:
        return True


def _reinstall(host: Host) -> tuple[Fix, ...]:
    which = manager(host)
    if which is None:
        advice = "Install bcc and its library libbcc again with your package manager."
        return (Fix("BCC-001.reinstall", "reinstall bcc", (), "permanent", "nothing to undo", advice=advice),)
    chosen, path = which
    change = RunCommand((path, *chosen.reinstall, chosen.library, chosen.package))
    title = f"reinstall {chosen.library} and {chosen.package}"
    return (Fix("BCC-001.reinstall", title, (change,), "permanent", "nothing to undo: the same packages"),)


def check_version(host: Host) -> Finding:
    """BCC-002: a version of bcc that denet-tui is known to work with; another is a warning at most."""
    why = "Versions from 0.18 to 0.37 were run. Older ones compile less, and look for tracefs in debugfs only."
    found = _shared.look(host, "BCC-002")
    if "error" in found:
        return Finding("BCC-002", State.SKIP, "bcc does not load (BCC-001)", why=why)
    version, library = found.get("version", "unknown"), found.get("library", "")
    seen = (Evidence("bcc/version.py", version), _library(found))
    numbers = _numbers(version) or _numbers(library.rpartition(".so.")[2])
    if not numbers:
        return Finding("BCC-002", State.UNKNOWN, "bcc does not say its version", seen, why)
    shown = ".".join(map(str, numbers))
    if numbers < OLDEST:
        return Finding("BCC-002", State.WARN, f"bcc {shown} is older than any that was tried", seen, why)
    of_library = _numbers(library.rpartition(".so.")[2])
    if len(of_library) > 1 and of_library != numbers:
        title = f"bcc {shown} with a libbcc of another version: two installations are mixed"
        return Finding("BCC-002", State.WARN, title, seen, why)
    newer = " (newer than any that was tried)" if numbers > (*NEWEST, 99) else ""
    return Finding("BCC-002", State.PASS, f"bcc {shown}{newer}", seen, why)


def _numbers(version: str) -> tuple[int, ...]:
    """The first numbers of a version, 9 digits each at most: longer ones are no version."""
    found = re.match(r"\d{1,9}(?:\.\d{1,9}){1,2}", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def check_headers(host: Host) -> Finding:
    """BCC-003: our header shim is whole; the kernel's own headers are never needed."""
    why = "bcc compiles against these few files of denet-tui's. Kernel headers need not be installed."
    broken, limited = [], False
    own = (*(f"kernel/{name}" for name in PROGRAM), *(f"include/{name}" for name in SHIM))
    for path in (f"{BPF_FOLDER}/{name}" for name in own):
        try:
            host.read_bytes(path)
        except OSError as error:
            broken.append(Evidence(path, str(error.strerror)))
            limited = limited or error.errno in (errno.EMFILE, errno.ENFILE)
    note = Evidence(f"/lib/modules/{host.release}/build", _build_note(host))
    if not broken:
        seen = (Evidence(f"{BPF_FOLDER}/include", f"all {len(SHIM)} files"), note)
        return Finding("BCC-003", State.PASS, "denet-tui brings the headers that bcc needs", seen, why, BOTH)
    if limited:
        title = "the shim could not be looked at: this process may open too few files (LIM-001)"
        return Finding("BCC-003", State.UNKNOWN, title, (*broken[:1], note), why, BOTH)
    fix = reinstall_ourselves("BCC-003", "files of it are missing or closed to you")
    title = f"{len(broken)} of denet-tui's own files for compiling cannot be read"
    return Finding("BCC-003", State.FAIL, title, (*broken, note), why, BOTH, (fix,))


def reinstall_ourselves(identity: str, why: str) -> Fix:
    """What helps where files of denet-tui's own are not as they should be."""
    advice = f"Install denet-tui again, the way you installed it: {why}."
    return Fix(f"{identity}.reinstall", "reinstall denet-tui", (), "permanent", "nothing to undo", advice=advice)


def _build_note(host: Host) -> str:
    try:
        names = host.names(f"/lib/modules/{host.release}/build")
        return f"{'there' if names else 'empty'}; not needed"
    except OSError as error:
        return f"{error.strerror}; not needed"


def check_reboot(host: Host) -> Finding:
    """BCC-004: the kernel that runs is the newest that is installed."""
    why = "After a kernel update the old one runs until the reboot. Nothing here needs its modules, headers or image."
    installed, evidence = _installed(host)
    evidence = [Evidence("uname -r", host.release), *evidence]
    kind = _flavour(host.release)
    newer = [each for each in installed if _flavour(each) == kind and _order(each) > _order(host.release)]
    if not newer:
        title = f"{host.release} runs; no newer kernel is installed"
        return Finding("BCC-004", State.PASS, title, tuple(evidence), why)
    newest = max(newer, key=_order)
    advice = f"Reboot when it suits you; {newest} starts then, and what has been checked here is to be checked again."
    fix = Fix("BCC-004.reboot", "reboot into the new kernel", (), "permanent", "nothing to undo", advice=advice)
    title = f"the kernel was updated to {newest}, and {host.release} still runs: a reboot is pending"
    return Finding("BCC-004", State.WARN, title, tuple(evidence), why, (), (fix,))


def _installed(host: Host) -> tuple[set[str], list[Evidence]]:
    """Releases that are installed, by folders and by the package lists that there are."""
    releases, evidence = set[str](), []
    sources: tuple[tuple[str, Callable[[], list[str]]], ...] = (
        ("/lib/modules", lambda: host.names("/lib/modules")),
        ("/boot", lambda: [name.partition("-")[2] for name in host.names("/boot") if name.startswith("vmlinuz-")]),
    )
    for source, listed in sources:
        try:
            found = [name for name in listed() if _order(name)]
            evidence.append(Evidence(source, " ".join(found[:8]) or "empty; not needed"))
            releases.update(found)
        except OSError as error:
            evidence.append(Evidence(source, f"{error.strerror}; not needed"))
    for program, *words in _LISTS:
        if path := find(host, program):
            done = host.run([path, *words])
            named = [
                match[1] for line in done.stdout.splitlines()[:10_000] if (match := _PACKAGE.fullmatch(line.strip()))
            ]
            evidence.append(Evidence(program, " ".join(named[:8]) or "names no kernel"))
            releases.update(named)
    return releases, evidence


_LISTS = (
    ("dpkg-query", "-W", "-f=${db:Status-Status} ${Package}\\n", "linux-image-[0-9]*"),
    ("rpm", "-q", "--qf", "installed kernel-%{VERSION}-%{RELEASE}.%{ARCH}\\n", "kernel-core"),
)
"""Commands that list kernel packages. pacman names no release of a kernel: there /lib/modules says it."""
_PACKAGE = re.compile(r"installed (?:linux-image-|kernel-)(\d[^\s/]*)")


def _flavour(release: str) -> tuple[str, ...]:
    """The words of a release: amd64 is not cloud-amd64, and fc39 is fc40 a year later."""
    return tuple(re.findall(r"[a-z]{2,}", release))


def _order(release: str) -> tuple[int, ...]:
    """Its numbers, for comparison; empty where it starts with none (rescue images)."""
    if not re.match(r"\d+\.\d", release):
        return ()
    return tuple(int(number) for number in re.findall(r"\d{1,9}", re.sub(r"(?<=[a-z_])\d+", "", release)))


CHECKS = (
    Check("BCC-001", "bcc", "bcc and libbcc", check_import, after=("BCC-002", "PROG-001", "E2E-001"), waits=True),
    Check("BCC-002", "bcc", "version of bcc", check_version, waits=True),
    Check("BCC-003", "bcc", "headers", check_headers, after=("PROG-001", "E2E-001"), waits=True),
    Check("BCC-004", "bcc", "kernel update", check_reboot, first=False),
)
