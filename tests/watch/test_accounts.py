"""CPU, faults, disks and memory, against whoever else reads the kernel's accounts: wait4, /usr/bin/time, perf stat."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.accounts import Account, check, open_for_running, read
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.maps import Map
from denet_tui.bpf.records import Process
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.detail import NOTHING_USED, UNKNOWN
from denet_tui.record.events import Lifecycle
from denet_tui.system import clock
from denet_tui.watch.processes import _disk_of, stat
from denet_tui.watch.sampler import Sampler
from tests.person import Person
from tests.real import REPOSITORY, environment, run_held
from tests.record import made
from tests.record.schema import assert_valid
from tests.watch.helpers import DENET, denet, eventually, started, text_of

pytestmark = pytest.mark.root

EXACT = ("minor_faults", "major_faults", "read_bytes", "write_bytes", "max_rss_bytes")
USED = ("cpu_ns", *EXACT)
LATE_NS = 1_500_000
"""Of its own CPU time a process spends that little between wait4's answer and its last switch."""


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that is on a disk, which /tmp need not be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def watched(folder: Path, *words: str, options: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    """The summary of a command, and what it printed."""
    path = folder / "summary.json"
    done = denet("run", "--no-tui", "--summary", str(path), *options, "--", *words, cwd=REPOSITORY)
    assert path.exists(), done.stderr
    return json.loads(path.read_text()), done.stdout


@pytest.mark.parametrize("method", ["raw", pytest.param("tracefs", marks=pytest.mark.slow)])
def test_every_process_has_used_what_wait4_says(disk: Path, method: str) -> None:
    way = ["unshare", "--mount", "sh", "-c", 'mount -t tracefs none /sys/kernel/tracing; exec "$@"', "sh"]
    summary, printed = disk / "summary", disk / "printed"
    argv = [*DENET, "run", "--no-tui", "--attach-method", method, "--interval", "0.2", "--summary", str(summary), "--"]
    with printed.open("w") as file:
        argv += [sys.executable, "-m", "tests.watch.uses", str(disk)]
        subprocess.run(way + argv, stdout=file, check=True, timeout=60, cwd=REPOSITORY, env=environment())
    told, found = json.loads(printed.read_text()), json.loads(summary.read_text())
    counted = {str(process["pid"]): process for process in found["processes"]}
    assert len(told) == 25
    assert {each["shape"] for each in told.values()} >= {"threads", "leader_first", "read", "write", "touch"}
    wrong = {
        (each["shape"], name): (each[name], counted[pid][name])
        for pid, each in told.items()
        for name in EXACT
        if counted[pid][name] != each[name]
    }
    assert wrong == {}
    late = {pid: counted[pid]["cpu_ns"] - each["cpu_ns"] for pid, each in told.items()}
    assert all(-2_000 <= more < LATE_NS for more in late.values()), late
    assert sum(each["write_bytes"] for each in told.values()) >= 16 << 20
    for name in USED[:-1]:
        assert found[name] == sum(process[name] for process in counted.values()), name
    assert found["max_rss_bytes"] == max(process["max_rss_bytes"] for process in counted.values())


def test_time_says_the_same(disk: Path) -> None:
    if not (time := shutil.which("time")):
        pytest.skip("needs /usr/bin/time, which this is compared with")
    script = "for i in 1 2 3 4 5 6; do dd if=/dev/zero of=$0/f$i bs=1M count=4 conv=fsync; done"
    report = disk / "report"
    summary, _ = watched(disk, time, "-v", "-o", str(report), "sh", "-c", script, str(disk))
    said = dict(re.findall(r"^\t(.+?)(?: \(.*\))?: (\S+)$", report.read_text(), re.MULTILINE))
    (root, *below) = sorted(summary["processes"], key=lambda each: each["start_ms"])
    assert root["comm"] == "time"
    assert len(below) == 7
    minor = int(re.search(r"Minor.*: (\d+)", report.read_text())[1])  # type: ignore[index]
    major = int(re.search(r"Major.*: (\d+)", report.read_text())[1])  # type: ignore[index]
    assert sum(each["minor_faults"] for each in below) == minor
    assert sum(each["major_faults"] for each in below) == major
    assert max(each["max_rss_bytes"] for each in below) == 1024 * int(said["Maximum resident set size"])
    assert sum(each["write_bytes"] for each in below) == 512 * int(said["File system outputs"]) >= 24 << 20
    cpu_s = float(said["User time"]) + float(said["System time"])
    assert sum(each["cpu_ns"] for each in below) / 1e9 == pytest.approx(cpu_s, abs=0.03)


def test_perf_stat_says_the_same(tmp_path: Path) -> None:
    if not shutil.which("perf"):
        pytest.skip("needs perf, which this is compared with")
    perf = ["perf", "stat", "-x", ",", "-e", "task-clock", "-o", str(tmp_path / "stat")]
    burns = [sys.executable, "-c", "n = 0\nwhile n < 4_000_000: n += 1"]
    summary, _ = watched(tmp_path, *perf, *burns)
    (row,) = [line for line in (tmp_path / "stat").read_text().splitlines() if "task-clock" in line]
    (burner,) = [each for each in summary["processes"] if each["comm"].startswith("python")]
    # perf counts from the execve on: what its child does before is less than this.
    assert burner["cpu_ns"] / 1e6 == pytest.approx(float(row.split(",")[0]), rel=0.05)
    assert burner["cpu_ns"] > 100_000_000


def test_the_command_has_not_used_what_denet_tui_did_before_it_ran(tmp_path: Path) -> None:
    """It was forked by a large Python process; /bin/true is small."""
    summary, _ = watched(tmp_path, "/bin/true")
    (command,) = summary["processes"]
    alone = subprocess.Popen(["/bin/true"], env=environment())
    _, _, used = os.wait4(alone.pid, 0)
    assert command["minor_faults"] == pytest.approx(used.ru_minflt, abs=15)
    assert command["max_rss_bytes"] is None or command["max_rss_bytes"] < 8 << 20
    assert summary["cpu_ns"] == command["cpu_ns"]
    time, life_ns = command["time"], (command["end_ms"] - command["start_ms"]) * 1e6
    assert time["user_ns"] + time["kernel_ns"] == pytest.approx(command["cpu_ns"], abs=100_000), "they begin together"
    waited_ns = time["runqueue_ns"] + time["blocked_ns"]
    assert life_ns - 100_000 < command["cpu_ns"] + waited_ns < life_ns + LATE_NS + waited_ns, "to its last switch"
    assert command["syscalls"]["execve"]["time_ns"] < command["cpu_ns"] + waited_ns


def test_a_command_that_is_read_before_it_has_begun_is_one_and_begins_with_its_exec(tmp_path: Path) -> None:
    """The first try of a script without a first line is before that, and is told."""
    (tmp_path / "script").write_text("exec /bin/true\n")
    (tmp_path / "script").chmod(0o755)
    waiting, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(waiting, 1)
        with contextlib.suppress(OSError):
            os.execv(tmp_path / "script", ["script"])
        os.execv("/bin/sh", ["sh", str(tmp_path / "script")])
    tracer = Tracer(Loading(Request("raw", detail="all")).receive())
    info = made.INFO._replace(pid=child, start_ns=clock.now().kernel_ns)
    sampler, story = Sampler(info.start_ns, info), Lifecycle(info)
    try:
        tracer.hold(child)
        first = sampler.add(tracer.read())
        os.write(go, b"g")
        os.waitpid(child, 0)
        tracer.settle()
        last = sampler.add(tracer.read())
    finally:
        tracer.close()
        os.close(waiting)
        os.close(go)
    (early,), (command,) = first.processes, last.processes
    assert (early.execs, command.execs, command.status) == (0, 2, 0)
    assert command.programs
    failed, begun, _ = command.programs.kept
    assert failed.at_ns < command.start_ns <= begun.at_ns < failed.at_ns + 10**9
    events = [json.loads(line) for snapshot in (first, last) for line in story.lines(snapshot)]
    assert [(each["event"], each.get("start_ns")) for each in events] == [
        ("exec", early.start_ns), ("exec", command.start_ns), ("exit", None),
    ]  # fmt: skip


def test_short_processes_are_in_the_cpu_time_and_the_bytes_of_the_recording(disk: Path) -> None:
    path, script = disk / "rec", "for i in 1 2 3 4 5 6 7 8 9 10; do dd if=/dev/zero of=$0/f$i bs=1M count=2; done"
    summary, _ = watched(
        disk, "sh", "-c", script, str(disk), options=("--detail", "calls", "--interval", "0.1", "-o", str(path))
    )
    ticks = [line for line in map(json.loads, path.read_text().splitlines()) if line["kind"] == "tree"]
    assert ticks[-1]["aggregated"]["disk_write_bytes"] == summary["write_bytes"] >= 20 << 20
    assert ticks[-1]["denet_tui"]["accounts"] == {
        name: summary[name] for name in (*USED, "net_rx_bytes", "net_tx_bytes")
    }
    spent = sum(tick["aggregated"]["cpu_usage"] / 100 * tick["denet_tui"]["interval_ns"] for tick in ticks)
    assert spent == pytest.approx(summary["cpu_ns"], rel=0.01)
    assert (summary["net_rx_bytes"], summary["net_tx_bytes"]) == (None, None), "nothing counts them"


def test_what_lives_on_has_used_what_its_clock_and_proc_say(tmp_path: Path) -> None:
    """The command ends, a child of it goes on; both are in the totals."""
    script = "sh -c 'seq 200000 | sort -R > /dev/null; echo $$ > pid; exec sleep 60' > /dev/null 2>&1 & "
    script += "while ! [ -s pid ]; do sleep 0.1; done; sleep 0.3"
    path = tmp_path / "summary.json"
    denet("run", "--no-tui", "--summary", str(path), "--", "sh", "-c", script, cwd=tmp_path)
    pid = int((tmp_path / "pid").read_text())
    try:
        summary = json.loads(path.read_text())
        (child,) = [each for each in summary["processes"] if each["pid"] == pid]
        fields = text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        assert child["end_ms"] is None
        assert child["cpu_ns"] / 1e9 == pytest.approx(
            (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), abs=0.03
        )
        assert (child["minor_faults"], child["major_faults"]) == (int(fields[7]), int(fields[9]))
        assert child["max_rss_bytes"] == 1024 * int(
            re.search(r"VmHWM:\s*(\d+)", text_of(Path(f"/proc/{pid}/status")))[1]
        )  # type: ignore[index]
        assert summary["cpu_ns"] == sum(each["cpu_ns"] for each in summary["processes"])
    finally:
        os.kill(pid, signal.SIGKILL)


def test_an_attached_process_has_used_what_it_used_since(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    burns = "import time\nn = 0\nwhile n < 2_000_000: n += 1\nprint(flush=True)\ntime.sleep(120)"
    with subprocess.Popen([sys.executable, "-c", burns], stdout=subprocess.PIPE) as idle:
        assert idle.stdout
        idle.stdout.readline()
        attached = started(
            "attach",
            "--no-tui",
            "--detail",
            "calls",
            "--summary",
            str(path),
            "-o",
            str(tmp_path / "rec"),
            str(idle.pid),
        )
        eventually(lambda: text_of(tmp_path / "rec").count('"kind":"tree"') >= 2, "it watches")
        attached.send_signal(signal.SIGTERM)
        attached.wait(30)
        idle.kill()
    (process,) = json.loads(path.read_text())["processes"]
    assert process["cpu_ns"] < 50_000_000, "what it had used before is not counted"
    assert process["minor_faults"] < 1000


WAITS = """
import os, resource, sys, threading, time
def burn(times):
    n = 0
    while n < times: n += 1
some = [threading.Thread(target=time.sleep, args=(8,)) for _ in range(3)]
[each.start() for each in some]
gone = threading.Thread(target=burn, args=(2_000_000,))
gone.start()
gone.join()
burn(1_000_000)
before = resource.getrusage(resource.RUSAGE_SELF)
print(flush=True)
[each.join() for each in some]
burn(2_000_000)
open("data", "wb").write(bytes(1 << 20))
after = resource.getrusage(resource.RUSAGE_SELF)
used = [getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime", "ru_minflt", "ru_oublock")]
print(*used, flush=True)
os._exit(0)
"""


def test_an_attached_process_that_ends_has_used_what_it_used_since(disk: Path) -> None:
    """Threads that ended before are not in it, those that were there are."""
    path = disk / "summary.json"
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True, cwd=disk) as target:
        assert target.stdout
        target.stdout.readline()
        denet("attach", "--no-tui", "--summary", str(path), str(target.pid))
        user_s, system_s, minor, blocks = map(float, target.stdout.read().split())
    (process,) = json.loads(path.read_text())["processes"]
    assert process["cpu_ns"] / 1e9 == pytest.approx(user_s + system_s, abs=0.03)
    assert process["cpu_ns"] > 50_000_000
    assert process["write_bytes"] >= blocks * 512 >= 1 << 20
    assert process["minor_faults"] == pytest.approx(minor, abs=50)


def test_what_a_child_has_written_is_not_its_parents(disk: Path) -> None:
    """Though /proc/PID/io adds that of the children that were waited for (wait_task_zombie in kernel/exit.c)."""
    living = "import os, time; os.write(os.open('own', 65), bytes(1 << 20)); os.sync(); time.sleep(0.5)"
    script = 'dd if=/dev/zero of=big bs=1M count=2 2> /dev/null; "$0" -c "$1"; :'
    words = ["sh", "-c", script, sys.executable, living]
    done = denet("run", "--json", "--detail", "calls", "--interval", "0.1", "--", *words, cwd=disk)
    *ticks, summary = [json.loads(line) for line in done.stdout.splitlines()]
    of_shell = [line["parent"]["disk_write_bytes"] for line in ticks if line["kind"] == "tree" and line["parent"]]
    assert len(of_shell) > 2
    assert set(of_shell) == {0}
    written = {each["comm"]: each["write_bytes"] for each in summary["processes"]}
    assert written.pop("sh") == 0
    assert summary["write_bytes"] == sum(written.values())
    assert written.pop("dd") >= 2 << 20, "and what the file system writes for it"
    (of_living,) = written.values()
    told = [
        each["metrics"]["disk_write_bytes"] for line in ticks if line["kind"] == "tree" for each in line["children"]
    ]
    assert of_living in told, "while it lives"
    assert of_living >= 1 << 20


def test_what_ends_while_its_threads_are_looked_at_is_not_known() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    account = Account(UNKNOWN, NOTHING_USED, complete=False, ended=NOTHING_USED)
    process = Process(gone.pid, 1, 0, 0, 0, 2, 0, None, "true", (), gone.pid, account, parental=True)
    found = stat("self")._replace(threads=2)
    assert _disk_of(process, found, lambda path: Path(path).read_bytes()) == (None, None)


def test_what_ran_before_the_machine_was_watched_is_not_known_rather_than_nothing(tmp_path: Path) -> None:
    path, recording = tmp_path / "summary.json", tmp_path / "rec"
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        watching = started("machine", "--no-tui", "--detail", "calls", "--summary", str(path), "-o", str(recording))
        eventually(lambda: text_of(recording).count('"kind":"tree"') >= 2, "it watches")
        sleeper.kill()
    told = re.compile(rf'"event":"exit"[^\n]*"pid":{sleeper.pid},')
    eventually(lambda: told.search(text_of(recording)), "its end is told")
    watching.send_signal(signal.SIGTERM)
    watching.wait(60)
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    (*_, last) = [line for line in lines if line["kind"] == "tree"]
    assert_valid([last, *(line for line in lines if line["kind"] != "tree")])
    summary = json.loads(path.read_text())
    (process,) = [each for each in summary["processes"] if each["pid"] == sleeper.pid]
    assert [process[name] for name in USED] == [None] * len(USED)
    assert summary["cpu_ns"] is None


def test_a_thread_that_was_missed_costs_the_account_and_makes_no_wrong_one() -> None:
    kernel = Loading(Request("raw")).receive()
    tracer = Tracer(kernel)
    table, nothing = Map(kernel.maps["accounts"]), [NOTHING_USED] * 2
    try:
        assert open_for_running(table, 1, nothing)
        assert not open_for_running(table, 1, nothing), "it has one"
        check(table, 1, 2)
        assert not read(table, [1])[1].complete
        check(table, 1, 3)
        assert read(table, [1]) == {}
    finally:
        tracer.close()


LACKING = """
from denet_tui.bpf import loader, macros
for name in {names}:
    del macros.OFFSETS[name]
loader.main()
"""


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (
            ["task_struct.ioac.read_bytes", "signal_struct.maxrss", "mm_struct.rss_stat"],
            {"read_bytes", "write_bytes", "max_rss_bytes"},
        ),
        (["task_struct.maj_flt", "task_struct.se.sum_exec_runtime"], {"minor_faults", "major_faults", "cpu_ns"}),
        (["task_struct.__state", "task_struct.state"], set(USED)),
        ([], set()),
    ],
)
def test_what_this_kernel_does_not_tell_is_not_known(names: list[str], unknown: set[str]) -> None:
    """A kernel's BTF may lack a field: its number is then None, and the others stay."""
    kernel = Loading(Request("raw"), program=("-c", LACKING.format(names=names))).receive()
    tracer = Tracer(kernel)
    try:
        child = run_held(tracer, "/bin/true")
        tracer.settle()
        account = read(Map(kernel.maps["accounts"]), [child])[child]
    finally:
        tracer.close()
    assert {name for name in USED if getattr(account.used, name) is None} == unknown


def test_what_a_process_used_that_became_another_users_is_not_told(person: Person) -> None:
    script = 'sudo -n $denet run --no-tui --summary summary.json -- sh -c "sudo -n sleep 0; true"'
    done = person.shell(script)
    summary = json.loads((person.home / "summary.json").read_text())
    known = {each["comm"]: each["cpu_ns"] for each in summary["processes"]}
    assert known["sudo"] is None, done.stderr
    assert known["sh"] > 0
    assert summary["cpu_ns"] is None, "and so it is not known of all"
