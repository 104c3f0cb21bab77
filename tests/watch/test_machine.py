"""The whole machine: who was there before is entered, who comes later is found, and every call is counted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.records import Process
from denet_tui.bpf.request import SIZES
from denet_tui.watch import machine
from denet_tui.watch.launch import Options
from denet_tui.watch.processes import BUDGET, Usages
from tests import real
from tests.person import Person
from tests.watch.helpers import DENET, descriptors, eventually, run, text_of

SHORT = 300


@dataclass
class Outcome:
    """What denet-tui and strace counted while a shell that was there before them worked."""

    summary: dict[str, Any]
    strace: dict[int, Counter[str]]
    watcher: int
    shell: int
    gate: list[int]
    new: int

    def calls(self, pid: int) -> Counter[str]:
        """By name, of the one process with that id that was there meanwhile."""
        (found,) = (each for each in self.summary["processes"] if each["pid"] == pid)
        counted = Counter[str]()
        for name, row in found["syscalls"].items():
            counted[real.plain(name)] += row["calls"]  # strace does not tell ABIs apart
        return +counted


def family(pid: int) -> list[int]:
    return [pid, *map(int, text_of(Path(f"/proc/{pid}/task/{pid}/children")).split())]


@pytest.fixture(scope="module")
def outcome(workload: Path, calls: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run of the whole machine, with a shell under strace and a process with threads that are older."""
    if not shutil.which("strace"):
        pytest.skip("needs strace, which this is compared with")
    folder = tmp_path_factory.mktemp("machine")
    recording, summary, log = folder / "recording", folder / "summary", folder / "strace"
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "cwd": folder, "env": real.environment()}
    shell = subprocess.Popen(["sh"], **piped)  # type: ignore[call-overload]
    gate = subprocess.Popen([calls, "gate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    strace = subprocess.Popen(["strace", "-f", "-qq", "-e", "signal=none", "-o", log, "-p", str(shell.pid)])
    assert gate.stdout.readline() == b"ready\n"
    eventually(lambda: len(family(gate.pid)) == 3, "the gate's children")
    tracer = f"TracerPid:\t{strace.pid}\n"
    eventually(lambda: tracer in text_of(Path(f"/proc/{shell.pid}/status")), "strace is there")
    files = ["-o", str(recording), "--summary", str(summary)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    watcher = subprocess.Popen(
        [*DENET, "machine", "--no-tui", "--detail", "calls", *files], env=real.environment(), **quiet
    )  # type: ignore[call-overload]
    eventually(lambda: text_of(recording).count("\n") >= 2, "everybody is entered")
    older = family(gate.pid)
    gate.stdin.write(b"x")
    gate.stdin.close()
    new = subprocess.Popen([calls, "short", "7"], cwd=folder)
    lines = f"{workload}; {calls} short {SHORT}; sh -c '{calls} children 1600; echo' | cat; echo done > done\n"
    shell.stdin.write(lines.encode())
    shell.stdin.close()
    assert (shell.wait(60), gate.wait(60), new.wait(60)) == (0, 0, 0)
    strace.wait(60)
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(60) == 0
    found = real._Log()
    for line in log.read_text(errors="replace").splitlines():
        found.line(line)
    by_process: dict[int, Counter[str]] = {}
    for tid, counted in found.calls.items():
        by_process.setdefault(found.process_of(tid), Counter()).update(counted)
    return Outcome(json.loads(summary.read_text()), by_process, watcher.pid, shell.pid, older, new.pid)


@pytest.mark.root
def test_what_an_older_shell_starts_is_counted_as_strace_counts_it(outcome: Outcome) -> None:
    # Calls of other tests may be under way when this begins; of those that are compared here none is.
    assert {name for name, count in outcome.summary["lost"].items() if count} <= {"begun"}, outcome.summary["lost"]
    started = outcome.strace.keys() - {outcome.shell}
    assert len(started) > SHORT + 20
    for pid in started:
        ours, theirs = outcome.calls(pid), outcome.strace[pid]
        for name in real.SHIFTING:
            del ours[name], theirs[name]
        assert ours == theirs, pid


@pytest.mark.root
def test_the_older_shell_itself_is_counted_from_the_start_on(outcome: Outcome) -> None:
    ours, theirs = outcome.calls(outcome.shell), outcome.strace[outcome.shell]
    assert ours["clone"] + ours["vfork"] == theirs["clone"] + theirs["vfork"] >= 4
    # strace has seen the end of the read that was under way when each began.
    assert theirs["read"] - 1 <= ours["read"] <= theirs["read"]
    (shell,) = (each for each in outcome.summary["processes"] if each["pid"] == outcome.shell)
    assert shell["ppid"] == os.getpid()
    assert shell["exit_code"] == 0


@pytest.mark.root
def test_older_threads_and_children_are_counted(outcome: Outcome) -> None:
    assert sorted(outcome.calls(pid)["getpgrp"] for pid in outcome.gate) == [50, 50, 307]


@pytest.mark.root
def test_every_short_process_is_there(outcome: Outcome) -> None:
    short = [each for each in outcome.summary["processes"] if "getppid" in each["syscalls"] and each["end_ms"]]
    of_new = [each for each in short if each["ppid"] == outcome.new]
    assert len(of_new) == 7
    assert all(each["syscalls"]["getppid"]["calls"] == 1 for each in of_new)


@pytest.mark.root
def test_denet_itself_and_kernel_threads_are_left_out(outcome: Outcome) -> None:
    there = {each["pid"]: each for each in outcome.summary["processes"]}
    assert outcome.watcher not in there
    assert 2 not in there
    assert not [each for each in there.values() if each["comm"].startswith("kworker")]
    assert os.getpid() in there


@pytest.mark.root
def test_in_a_pid_namespace_it_says_what_to_do_instead() -> None:
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    done = run("unshare", "--pid", "--fork", "--mount-proc", *DENET, "machine", "--no-tui")
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("denet-tui: inside a PID namespace")


@pytest.mark.root
def test_without_root_it_is_said_that_others_are_not_counted(person: Person) -> None:
    become = ("--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon")
    watch = "$denet machine --no-tui --detail calls --summary machine.json -o machine.jsonl & p=$!"
    begun = "[ -s machine.jsonl ] && [ $(wc -l < machine.jsonl) -gt 2 ]"
    done = person.shell(
        f"trap '' INT; cd; {watch}; until {begun}; do sleep 0.1; done; id -u; kill -TERM $p; wait $p", become=become
    )
    assert done.returncode == 0, done.stderr
    assert f"only the processes of {person.name} are counted" in done.stderr
    summary = json.loads((person.home / "machine.json").read_text())
    assert [each for each in summary["processes"] if each["comm"] == "id"]
    assert 1 not in [each["pid"] for each in summary["processes"]]
    assert os.getpid() not in [each["pid"] for each in summary["processes"]]


def process(tgid: int, parent: int = 1, start_ns: int = 0, end_ns: int = 0) -> Process:
    return Process(tgid, parent, start_ns or tgid, end_ns, 0, 1, 0, 0 if end_ns else None, "x", (), tgid)


def test_of_others_none_is_entered_where_only_own_calls_may_be_counted() -> None:
    entered: list[int] = []

    class Entering:
        def attach(self, tgid: int, parent: int) -> bool:
            entered.append(tgid)
            return True

    found = [machine.Listed(10, 1, 0, 0, kernel=False), machine.Listed(11, 1, 0, 9, kernel=False)]
    machine.enter(Entering(), [*found, machine.Listed(12, 2, 0, 9, kernel=True)], 9)  # type: ignore[arg-type]
    assert entered == [11]
    machine.enter(Entering(), found)  # type: ignore[arg-type]
    assert entered == [11, 10, 11]


def test_parents_are_entered_before_their_children() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        child = family(shell.pid)[1]
        found = machine.listed([child, shell.pid, os.getpid(), 2**22])
        assert [each.pid for each in found] == [os.getpid(), shell.pid, child]
        assert [each.parent for each in found] == [os.getppid(), os.getpid(), shell.pid]
        os.kill(child, signal.SIGKILL)


def test_maps_grow_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "all_pids", lambda: set(range(10)))
    assert machine.scale(Options()) == 0
    monkeypatch.setattr(machine, "all_pids", lambda: set(range(10_000)))
    scale = machine.scale(Options())
    assert SIZES["PROCESSES"] << scale >= 40_000
    assert SIZES["ROWS"] << scale >= 160_000


def test_usage_is_that_of_the_process() -> None:
    burn = "import time\ntime.sleep(0.2)\nblock = b'x' * 50_000_000\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        usages, who = Usages(), process(busy.pid, start_ns=time.monotonic_ns())
        assert usages.look([who], {})[busy.pid].usage.cpu_percent == 0, "what it spent before it was watched"
        eventually(lambda: usages.look([who], {})[busy.pid].usage.cpu_percent > 5, "it is seen to be busy")
        usage = usages.look([who], {})[busy.pid].usage
        assert 50_000_000 < usage.rss_bytes < 200_000_000 < 50_000_000 + usage.vms_bytes * 10
        assert usage.threads == 1
        busy.kill()
    assert usages.look([who], {}) == {}


def test_a_process_that_was_seen_to_start_is_measured_from_there() -> None:
    start_ns = time.monotonic_ns()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(0.3)
        assert Usages().look([process(busy.pid, start_ns=start_ns)], {})[busy.pid].usage.cpu_percent > 1
        busy.kill()


def test_what_is_looked_at_again_stays_open_and_is_no_other_process() -> None:
    def opened() -> list[str]:
        return [path for path in descriptors(os.getpid()).values() if path.startswith("/proc/") and "/stat" in path]

    with subprocess.Popen(["sleep", "60"]) as sleeper:
        eventually(lambda: "sleep" in text_of(Path(f"/proc/{sleeper.pid}/cmdline")), "its program is there")
        usages, who = Usages(), process(sleeper.pid, start_ns=time.monotonic_ns())
        first = usages.look([who], {}, shown=False)
        assert first[who.tgid].usage.rss_bytes
        assert usages.look([who], {}, shown=False) == {}, "once is enough where nothing is shown"
        assert opened() == []
        assert [usages.look([who], {})[who.tgid].usage.threads for _ in range(3)] == [1, 1, 1]
        assert len(opened()) == 1
        sleeper.kill()
        sleeper.wait()
        assert usages.look([who], {}) == {}
        assert usages.look([], {}) == {}
        assert opened() == []
    own = process(os.getpid(), start_ns=time.monotonic_ns())
    for final in (False, False, True):
        peak = usages.look([own], {}, final=final)[own.tgid].usage.accounts.max_rss_bytes
        assert (peak is not None) is final
    assert opened() == [], "nothing stays open after the end"


def test_everybody_has_a_turn() -> None:
    crowd = [process(10_000_000 + number) for number in range(3 * BUDGET)]
    chosen: set[int] = set()
    usages = Usages()
    for _ in range(2 * len(crowd) // BUDGET):
        chosen |= {each.tgid for each in usages._chosen(crowd, {})}
    assert len(chosen) == len(crowd)
