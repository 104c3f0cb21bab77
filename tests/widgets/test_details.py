"""The Details of a process, in words."""

from __future__ import annotations

import errno

from denet_tui.detail import KEPT_EXECS, Accounts, Detail, Exec, Programs, Seen, Time, Usage, Wait
from denet_tui.model import InFlight, ProcessInfo, Snapshot, Syscall
from denet_tui.touched import File, Touched, Use
from denet_tui.widgets.details import AllKnown, details
from denet_tui.widgets.page import LABEL, laid_out
from denet_tui.widgets.process_rows import ProcessRow
from tests.screens.live.double import Build, counters
from tests.screens.test_outside_text import HOSTILE, SHOWN

OPENAT, READ, WAIT4 = Syscall(0, 257, "openat"), Syscall(0, 0, "read"), Syscall(0, 61, "wait4")
START, S = 1_000_000_000_000, 1_000_000_000
"""When the run began, by the clock of the snapshots; a second."""


def process(pid: int, ppid: int, comm: str, **more: object) -> ProcessInfo:
    made = ProcessInfo(pid, pid, ppid, comm, (f"/bin/{comm}", "a b"), START + S, programs=Programs())
    return made._replace(**more)


def executed(path: str, at_s: float, *argv: str, errno: int | None = None, **more: object) -> Exec:
    return Exec(7, START + int(at_s * S), path, argv or (path,), "/src", 1000, errno)._replace(**more)


def texts(known: AllKnown, width: int = 120) -> list[str]:
    lines = laid_out(details(known), width)
    return [f"{line.label or '':<{LABEL}} {line.text}".strip() for line in lines]


def moment(*processes: ProcessInfo, in_flight: tuple[InFlight, ...] = (), forgotten: int = 0) -> Snapshot:
    now = Build(1, 0).step()._replace(time_ns=START + 10 * S, elapsed_ns=10 * S)
    return now._replace(processes=processes, in_flight=in_flight, forgotten=forgotten)


def test_all_of_a_process_that_runs() -> None:
    make, shell = process(5, 1, "make"), process(6, 5, "sh")
    spent = Time(3 * S, 2 * S, S, 4 * S, {READ: Wait(S), WAIT4: Wait(2 * S)})
    compiler = process(
        7, 6, "cc1", time=spent, errnos={(OPENAT, errno.ENOENT): 312, (READ, errno.EINTR): 1},
        usage=Usage(51.0, 23 << 20, 0, 3, Accounts(6 * S, 1201, 3, 4_300_000, 212_000, 24 << 20)),
        total=counters(5000, errors=313), syscalls={OPENAT: counters(1000, each_ns=2_000_000)},
    )  # fmt: skip
    below = process(8, 7, "as", time=Time(S, 0, 0, S))
    flights = (InFlight(7, 7, READ, START + 7 * S), InFlight(9, 7, WAIT4, START + 9 * S), InFlight(1, 1, READ, START))
    snapshot = moment(make, shell, compiler, below, in_flight=flights)
    seen = Seen(1000, "dev", "/home/dev", 9 * S, {7: "cc1", 10: "helper"})
    assert texts(AllKnown(compiler, snapshot, seen)) == [
        "cc1 7: running for 9.0s, started 0:01.0",
        "command /bin/cc1 'a b'",
        "in      /home/dev",
        "user    dev (1000)",
        "parent  sh 6 < make 5",
        "time    █████████▓▓▓▓▓▓▒▒▒░░░░░░······",
        "█ user 30 %, ▓ kernel 20 % (openat 20 %)",
        "▒ waits for CPU 10 %, · waits for children 20 %",
        "░ blocked 20 % (read 10 %, in no counted call 10 %)",
        "of 10s of all its threads together",
        "below   ██████████▓▓▓▓▓▒▒▒░░░░░░░·····",
        "█ user 33 %, ▓ kernel 17 %",
        "▒ waits for CPU 8 %, · waits for children 17 %",
        "░ blocked 25 % (read 8 %, in no counted call 17 %)",
        "of 12s of it and 1 process below it",
        "cpu     51 % of a core now, 6.000 s of CPU",
        "memory  23M now, at most 24,576 KiB of memory, 1,204 page faults, 3 of them from disk",
        "disk    4,300,000 bytes read from disks, 212,000 written",
        "calls   5,000, 313 failed; enter shows them",
        "threads 7 cc1: in read for 3.0s",
        "9: in wait4 for 1.0s",
        "10 helper: in no call",
        "errors  openat ENOENT 312 times: no such file or directory",
        "read EINTR once: interrupted system call",
    ]
    there_before = seen._replace(age_ns=3600 * S)
    assert texts(AllKnown(compiler, snapshot, there_before))[0] == "cc1 7: running for 1.0h, watched from 0:01.0 on"
    held = compiler._replace(exec_ns=compiler.start_ns + 10**6)  # was there before, but not as this program
    assert texts(AllKnown(held, snapshot, there_before))[0] == "cc1 7: running for 9.0s, started 0:01.0"


def test_all_of_a_process_that_has_ended_is_what_was_kept() -> None:
    programs = Programs((
        executed("/bin/env", 1.5, "env", "sh -c x"),
        executed("/usr/local/bin/sh", 2, errno=errno.ENOENT),
        executed("/bin/sh", 2.5, cut=True, user="dev"),
    ), dropped=7)  # fmt: skip
    ended = process(7, 1, "sh", end_ns=START + 4 * S, status=3 << 8, programs=programs)
    assert texts(AllKnown(ended, moment(ended), None)) == [
        "sh 7: exited 3, ran for 3.0s, started 0:01.0",
        "command /bin/sh 'a b'",
        "in      /src when its program began",
        "user    dev (1000)",
        "parent  1, which is not watched",
        "time    where its time went is not known",
        "cpu     not known",
        "memory  not known",
        "disk    not known",
        "calls   0, 0 failed; enter shows them",
        "execs   0:01.5 /bin/env (ran 1.0s)",
        "env 'sh -c x'",
        "in /src, uid 1000",
        "0:02.0 /usr/local/bin/sh: ENOENT",
        "0:02.5 /bin/sh (ran 1.5s, exit 3)",
        "/bin/sh …",
        "in /src, uid 1000",
        "7 before these",
    ]
    lost = process(7, 1, "sh", lost=True, programs=None)
    told = texts(AllKnown(lost, moment(lost), None))
    assert told[0] == "sh 7: started 0:01.0, its end was not seen"
    assert told[-1] == "execs   not watched"


def test_a_program_that_goes_by_another_name_has_its_file() -> None:
    disguised = Programs((executed("/bin/sleep", 1, "sshd", "9"), executed("/bin/sh", 2, errno=errno.ENOENT)))
    hidden = process(7, 1, "sleep", cmdline=("sshd", "9"), programs=disguised)
    assert texts(AllKnown(hidden, moment(hidden), None))[1:3] == ["command sshd 9", "file    /bin/sleep"]
    assert "user    1000" in texts(AllKnown(hidden, moment(hidden), None)), "of an older recording"
    assert ProcessRow(hidden, 1.0).whole == "(/bin/sleep) sshd 9"
    open_one = hidden._replace(programs=Programs((executed("/bin/sleep", 1, "sleep", "9"),)))
    assert not any(line.startswith("file") for line in texts(AllKnown(open_one, moment(open_one), None)))


def test_much_is_counted_where_it_is_not_shown() -> None:
    errors = {(Syscall(0, nr, f"call{nr}"), errno.ENOENT): nr for nr in range(1, 13)}
    programs = Programs(tuple(executed("/bin/true", at, "true") for at in range(KEPT_EXECS)), dropped=5)
    busy = process(
        7, 1, "busy", cmdline=("x" * 9000, "y"), errnos=errors, programs=programs, usage=Usage(threads=400),
        time=Time(1, 1, 1, 1),
    )  # fmt: skip
    child = process(8, 7, "busy", time=Time(1, 1, 1, 1))
    threads = Seen(0, "root", None, 9 * S, dict.fromkeys(range(7, 27), "busy"))
    told = texts(AllKnown(busy, moment(busy, child, forgotten=2), threads))
    assert "… and 810 more letters" in told
    assert "380 more" in told
    assert "4 more kinds" in told
    assert f"{KEPT_EXECS - 20 + 5} before these" in told
    assert "of 8ns of it and 1 process below it, without those that ended earlier" in told
    assert "in      not known" in texts(AllKnown(child, moment(busy, child), None))


def test_text_from_outside_is_shown_as_it_is() -> None:
    programs = Programs((executed(HOSTILE, 1.5, HOSTILE, cwd=HOSTILE), executed(HOSTILE, 2, errno=2)))
    foreign = Syscall(0, 999, HOSTILE)
    bad = process(
        7, 1, HOSTILE, cmdline=(HOSTILE,), programs=programs, errnos={(foreign, 2): 1},
        time=Time(1, 1, 1, 1, {foreign: Wait(1)}),
    )  # fmt: skip
    known = AllKnown(
        bad, moment(bad, in_flight=(InFlight(7, 7, foreign, START),)), Seen(0, HOSTILE, HOSTILE, 1, {7: HOSTILE})
    )
    lines = laid_out(details(known), 400)
    assert all(line.text.isprintable() for line in lines)
    assert sum(SHOWN in line.text for line in lines) >= 10


def test_the_files_with_the_most_bytes_are_told() -> None:
    reader = process(7, 1, "cat")
    used = {(7, File("file", f"/src/{at}")): Use(1, 2, 0, 1024 * at, 0, 10**6 * at, at % 2) for at in range(8)}
    other = {(8, File("file", "/big")): Use(1, 2, 0, 10**9), (7, File("pipe", None)): Use(0, 0, 1, 0, 10**6, 5)}
    snapshot = moment(reader)._replace(detail=Detail(touched=Touched(by_process={**used, **other})))
    told = texts(AllKnown(reader, snapshot, None))
    at = next(at for at, line in enumerate(told) if line.startswith("files"))
    assert told[at : at + 6] == [
        "files   pipe of unknown name (wrote 977K, 5ns)",
        "/src/7 (read 7.0K, 1 failed, 7.0ms)",
        "/src/6 (read 6.0K, 6.0ms)",
        "/src/5 (read 5.0K, 1 failed, 5.0ms)",
        "/src/4 (read 4.0K, 4.0ms)",
        "4 more",
    ]
    assert not any(line.startswith("files") for line in texts(AllKnown(reader, moment(reader), None)))
