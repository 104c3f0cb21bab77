"""What users of other tracers reported in public, and what is right: one line each.

A line of shell is run among all the others, under denet-tui and under strace. `$PY` is a Python, `$T` a folder.
`same` names the calls whose number must be strace's, `*` stands for all of them, in each process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from denet_tui.widgets import formatting


class Seen(NamedTuple):
    """What denet-tui saw of one line of the table."""

    calls: Counter[str]
    errors: Counter[str]
    time_ns: Counter[str]
    processes: list[dict[str, Any]]
    """The line's own shell first, the others as they began."""

    @property
    def names(self) -> list[str]:
        """What each process was at its end."""
        return [each["comm"] for each in self.processes]

    def of(self, comm: str) -> dict[str, Any]:
        """The first process of that name."""
        return next(each for each in self.processes if each["comm"] == comm)

    def shown(self, comm: str) -> str:
        """What the screen calls it."""
        process = self.of(comm)
        return formatting.command(process["cmdline"], comm, cut=process.get("cmdline_cut", False))


class Report(NamedTuple):
    """A line of the table."""

    url: str
    run: str
    right: Callable[[Seen], bool]
    same: str = "*"


def _python(code: str) -> str:
    return f"exec $PY -c '{code}'"


def _calls(nr: int, *arguments: int, times: int = 1) -> str:
    given = ", ".join(map(str, (nr, *arguments)))
    return _python(f"import ctypes\ncall = ctypes.CDLL(None).syscall\nfor _ in range({times}): call({given})")


_GITHUB = "https://github.com/"
_FORKS = "import os\nfor _ in range(16):\n if os.fork() == 0:\n  for _ in range(500): os.getpgrp()\n  os._exit(0)"
_THREADS = "import os, threading as t\na = [t.Thread(target=os.getpgrp) for _ in range(20)]\n[x.start() for x in a]"
_EXEC = 'import os, threading as t\nt.Thread(target=os.execv, args=("/bin/true", ["true"])).start()\nt.Event().wait()'
_INT80 = (  # mov eax, 20 (getpid); push rbx; int 0x80; pop rbx; ret
    'import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex("b8140000 0053cd80 5bc3"))\n'
    "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n[f() for _ in range(3)]"
)

_ON_DISK = "f=/var/tmp/denet-tui-peers-$$;"


def _in_turn(seen: Seen) -> bool:
    """Each began after the one before had ended, the shell aside."""
    below = seen.processes[1:]
    return all(one["end_ms"] <= other["start_ms"] for one, other in pairwise(below))


REPORTS = (
    # Calls that others lost, or counted where they did not belong
    Report(f"{_GITHUB}aquasecurity/tracee/issues/223", _python(_FORKS), lambda s: s.calls["getpgrp"] == 8000, "getpgrp"),
    Report(f"{_GITHUB}microsoft/one-collect/issues/330", "exec dd if=/dev/zero of=/dev/null bs=1 count=4000", lambda s: s.calls["write"] >= 4000, "read write"),
    Report(f"{_GITHUB}iovisor/bcc/issues/1016", _calls(7, 1, 1, 0, times=100), lambda s: s.errors["poll"] == 100, "poll"),
    Report(f"{_GITHUB}strace/strace/issues/319", _calls(9999, times=5), lambda s: s.calls["syscall_9999"] == 5, "syscall_9999"),
    Report(f"{_GITHUB}strace/strace/issues/176", _python(_THREADS), lambda s: s.calls["getpgrp"] == 20 and len(s.processes) == 1, "getpgrp"),
    Report(f"{_GITHUB}strace/strace/issues/97", "kill -9 $$", lambda s: s.calls["kill"] == 1),
    Report(f"{_GITHUB}draios/sysdig/issues/840", "cd / && kill -0 $$ && sh -c : 2> /dev/null", lambda s: {"chdir", "kill", "exit_group", "dup2", "getppid", "execve", "openat"} <= set(s.calls)),
    Report(f"{_GITHUB}draios/sysdig/issues/1913", "for i in 1 2 3 4 5 6 7 8 9; do : < /etc/passwd; done", lambda s: s.calls["openat"] >= 9),
    Report(f"{_GITHUB}draios/sysdig/issues/979", "for f in /etc/*.conf; do [ -r $f ] && : < $f; done", lambda s: s.calls["openat"] > 3),
    Report(f"{_GITHUB}draios/sysdig/issues/2157", ":", lambda s: s.calls["exit_group"] == 1 and s.calls["execve"] == 1),
    Report(f"{_GITHUB}golang/go/issues/74850", "echo a > $T/a; echo b >> $T/a; cat $T/a", lambda s: s.calls["write"] >= 2),
    Report(f"{_GITHUB}vstinner/python-ptrace/issues/66", "(:); (:)", lambda s: len(s.processes) == 3),
    # Errors
    Report(f"{_GITHUB}iovisor/bcc/pull/1526", "cat /does/not/exist", lambda s: s.errors["openat"] == 1),
    Report(f"{_GITHUB}draios/sysdig/issues/73", "exec /bin/i-dont-exist", lambda s: s.errors["execve"] == 1 and s.processes[0]["exit_code"] == 127),
    Report(f"{_GITHUB}aquasecurity/tracee/issues/2847", "/dev/null", lambda s: s.errors["execve"] == 1 and s.processes[-1]["exit_code"] == 126),
    Report(f"{_GITHUB}zmitchell/proctrace/issues/1", "exec env -i PATH=/no/1:/no/2:/usr/bin:/bin env true", lambda s: s.errors["execve"] == 4 and s.calls["execve"] == 8),
    # Which call it is
    Report(f"{_GITHUB}iovisor/bcc/pull/1388", _calls(437, times=2), lambda s: s.calls["openat2"] == 2, "openat2"),
    Report(f"{_GITHUB}iovisor/bcc/pull/1044", _calls(434, times=2), lambda s: s.calls["pidfd_open"] == 2, "pidfd_open"),
    Report(f"{_GITHUB}iovisor/bcc/pull/5264", _calls(436, 1000, 1000, times=2), lambda s: s.calls["close_range"] == 2, "close_range"),
    Report(f"{_GITHUB}namecoin/sockstrace/issues/78", _python(_INT80), lambda s: s.calls["ia32:getpid"] == 3, ""),
    Report(f"{_GITHUB}david942j/seccomp-tools/issues/159", _calls(0x40000000 + 39, times=3), lambda s: s.calls["x32:getpid"] == 3, ""),
    # Processes: all of them, each once, with its parent and its end
    Report(f"{_GITHUB}iovisor/bcc/issues/1250", "for i in 1 2 3 4 5 6 7 8; do (for j in 1 2 3 4 5; do /bin/true; done) & done; wait", lambda s: s.names.count("true") == 40, ""),
    Report(f"{_GITHUB}javierhonduco/lightswitch/issues/324", "i=0; while [ $i -lt 150 ]; do (:); i=$((i + 1)); done", lambda s: len(s.processes) == 151),
    Report(f"{_GITHUB}javierhonduco/lightswitch/issues/319", "(exec /bin/true); (exec /bin/true)", lambda s: all(each["end_ms"] for each in s.processes) and len(s.processes) == 3),
    Report(f"{_GITHUB}cilium/tetragon/issues/1507", "(:); (:); /bin/true", lambda s: s.calls["exit_group"] == len(s.processes) == 4),
    Report(f"{_GITHUB}iovisor/bcc/issues/4425", "(cd /; :)", lambda s: s.names == ["sh", "sh"]),
    Report(f"{_GITHUB}bpftrace/bpftrace/issues/1666", "sh -c \"sh -c '/bin/true; :'; :\"; :", lambda s: s.names == ["sh", "sh", "sh", "true"]),
    Report(f"{_GITHUB}bpftrace/bpftrace/issues/4839", "bash -c \"sleep 0.1 && /bin/ls -l /\"; :", lambda s: s.names == ["sh", "ls", "sleep"]),
    Report(f"{_GITHUB}iovisor/bcc/pull/4025", "(/bin/true; :); :", lambda s: s.of("true")["ppid"] == s.processes[1]["pid"]),
    Report(f"{_GITHUB}draios/sysdig/issues/102", "setsid /bin/true; :", lambda s: s.of("true")["ppid"] == s.processes[0]["pid"]),
    Report(f"{_GITHUB}iovisor/bcc/issues/1123", "(sleep 0.2 & exit 0); :", lambda s: s.of("sleep")["ppid"] == s.processes[1]["pid"]),
    Report(f"{_GITHUB}draios/sysdig/issues/1537", "(exit 7); :", lambda s: s.processes[1]["exit_code"] == 7),
    Report(f"{_GITHUB}draios/sysdig/issues/2000", "(kill -9 $(exec sh -c 'echo $PPID')); :", lambda s: s.processes[1]["signal"] == 9, ""),
    Report(f"{_GITHUB}proot-me/proot/issues/146", "kill -SEGV $$", lambda s: s.processes[0]["signal"] == 11),
    Report(f"{_GITHUB}vstinner/python-ptrace/pull/80", "bash -c 'exit 255'; exit 0", lambda s: [each["exit_code"] for each in s.processes] == [0, 255]),
    Report(f"{_GITHUB}strace/strace/issues/96", "trap 'exit 9' TSTP; kill -TSTP $$", lambda s: s.processes[0]["exit_code"] == 9),
    Report(f"{_GITHUB}strace/strace/pull/277", _python("import subprocess\nsubprocess.run([\"/bin/true\"])"), lambda s: s.names[1:] == ["true"], "vfork execve"),
    Report(f"{_GITHUB}strace/strace/issues/211", "exec grep -q 'TracerPid:.0$' /proc/self/status", lambda s: s.processes[0]["exit_code"] == 0, ""),
    Report(f"{_GITHUB}iovisor/bcc/issues/1329", "exec unshare --pid --fork /bin/true", lambda s: s.names == ["unshare", "true"]),
    # Threads
    Report(f"{_GITHUB}Atoptool/atop/issues/112", _python(_THREADS), lambda s: len(s.processes) == 1, ""),
    Report(f"{_GITHUB}strace/strace/issues/141", _python(_THREADS), lambda s: s.calls["set_robust_list"] + s.calls["rseq"] >= 20, "set_robust_list"),
    Report(f"{_GITHUB}ranweiler/pete/issues/107", _python(_EXEC), lambda s: s.names == ["true"] and s.processes[0]["exit_code"] == 0, "execve"),
    # Times
    Report(f"{_GITHUB}strace/strace/issues/317", "exec sleep 0.3", lambda s: s.time_ns["clock_nanosleep"] >= 300_000_000),
    Report(f"{_GITHUB}iovisor/bcc/pull/1931", _python("import time\nfor _ in range(3): time.sleep(0.1)"), lambda s: s.time_ns["clock_nanosleep"] >= 300_000_000, "clock_nanosleep"),
    Report(f"{_GITHUB}iovisor/bcc/issues/728", ": > $T/age; sleep 0.5; rm $T/age", lambda s: 500 <= s.of("sleep")["end_ms"] - s.of("sleep")["start_ms"] < 20_000, "clock_nanosleep unlinkat"),
    Report(f"{_GITHUB}iovisor/bcc/issues/931", "/bin/true; /bin/true; :", lambda s: all(each["start_ms"] <= each["end_ms"] for each in s.processes) and _in_turn(s)),
    # What each has used, however short it lived
    Report(f"{_GITHUB}nicolargo/glances/issues/134", "for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done", lambda s: all(each["cpu_ns"] > 0 and each["minor_faults"] > 0 for each in s.processes)),
    Report(f"{_GITHUB}giampaolo/psutil/issues/671", "i=0; while [ $i -lt 40 ]; do ls /; i=$((i + 1)); done", lambda s: s.names.count("ls") == 40 and min(each["cpu_ns"] for each in s.processes) > 100_000),
    Report(f"{_GITHUB}Tomas-M/iotop/issues/94", f"{_ON_DISK} dd if=/dev/zero of=$f bs=64K count=32; rm $f", lambda s: s.of("dd")["write_bytes"] >= 2 << 20 > s.of("rm")["write_bytes"]),
    Report(f"{_GITHUB}ncabatoff/process-exporter/issues/190", f"{_ON_DISK} for i in 1 2 3; do dd if=/dev/zero of=$f bs=64K count=16; done; rm $f", lambda s: sum(each["write_bytes"] for each in s.processes) >= 3 << 20),
    Report(f"{_GITHUB}sysstat/sysstat/issues/250", "/bin/true; :", lambda s: all(each[name] >= 0 for each in s.processes for name in ("major_faults", "read_bytes", "write_bytes"))),
    Report(f"{_GITHUB}golang/go/issues/32054", "/bin/true; :", lambda s: 0 < s.of("true")["max_rss_bytes"] < 16 << 20),
    # Names and command lines
    Report(f"{_GITHUB}iovisor/bcc/issues/3953", f"/bin/true {' '.join(map(str, range(40)))}; :", lambda s: len(s.of("true")["cmdline"]) == 41),
    Report(f"{_GITHUB}tud-zih-energy/lo2s/issues/188", "cp /bin/true $T/command-with-a-ridiculously-long-name; $T/command-with-a-ridiculously-long-name; :", lambda s: s.shown("command-with-a-") == "command-with-a-ridiculously-long-name"),
    Report(f"{_GITHUB}inspektor-gadget/inspektor-gadget/issues/3582", f"/bin/true 12{'é' * 99}; :", lambda s: s.shown("true") == f"true 12{'é' * 58}…"),
    Report(f"{_GITHUB}tobixen/thrash-protect/issues/25", f"cp /bin/true $T/{'Ш' * 9}; $T/{'Ш' * 9}; :", lambda s: s.names[2:] == ["Ш" * 7]),
    Report(f"{_GITHUB}hishamhm/htop/issues/489", "exec perl -e '$0 = \"3 of 7 done\"; select undef, undef, undef, 2' a b", lambda s: s.shown("3 of 7 done") == "3 of 7 done", ""),
    Report(f"{_GITHUB}dvarrazzo/py-setproctitle/issues/17", _python("import ctypes\nctypes.CDLL(None).prctl(15, b\"renamed\")"), lambda s: s.names == ["renamed"]),
    Report(f"{_GITHUB}aquasecurity/tracee/issues/2520", "/bin/true '' ''; :", lambda s: s.of("true")["cmdline"] == ["/bin/true", "", ""]),
)  # fmt: skip
