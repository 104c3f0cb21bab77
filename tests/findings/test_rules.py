"""What stands out, and what does not: each rule at its threshold, and what ordinary runs have."""

from __future__ import annotations

import errno

import pytest

from denet_tui.detail import Detail, Time, Wait
from denet_tui.findings.rules import MOST, RULES, findings, sentences
from denet_tui.model import Counters, InFlight, Loss, Snapshot
from denet_tui.syscalls import named
from denet_tui.touched import FailedPath, File, SlowCall, Touched, Use
from tests.record.made import process, snapshot

SECOND = 10**9


def run(
    elapsed_s: float = 10.0,
    errors: dict[tuple[str, int], int] | None = None,
    in_flight: tuple[InFlight, ...] = (),
    running: bool = False,
    **calls: Counters,
) -> Snapshot:
    """A run that made these calls; `errors` are by name and errno."""
    syscalls = {named(name): counted for name, counted in calls.items()}
    total = Counters()
    for counted in syscalls.values():
        total = total.plus(counted)
    errnos = {(named(name), number): count for (name, number), count in (errors or {}).items()}
    made = snapshot(1, [process(4242, {})], running=running)
    return made._replace(
        syscalls=syscalls,
        total=total,
        errnos=errnos,
        elapsed_ns=int(elapsed_s * SECOND),
        time_ns=100 * SECOND,
        in_flight=in_flight,
        running=running,
    )


def calls(number: int, errors: int = 0, time_ns: int = 0, max_ns: int = 0) -> Counters:
    return Counters(number, number, errors, 0, time_ns, max_ns)


def inside(name: str, seconds: float) -> InFlight:
    return InFlight(4242, 4242, named(name), int((100 - seconds) * SECOND))


WELL = {
    "a build misses headers": run(
        errors={("openat", errno.ENOENT): 46_816}, openat=calls(60_000, 46_816), read=calls(500_000)
    ),
    "an interpreter asks isatty": run(
        errors={("ioctl", errno.ENOTTY): 1_569}, ioctl=calls(1_570, 1_569), read=calls(12_600)
    ),
    "a long build looks along PATH for its assembler": run(
        errors={("execve", errno.ENOENT): 2_952}, execve=calls(4_156, 2_952), read=calls(600_000)
    ),
    "a shell looks along PATH": run(errors={("execve", errno.ENOENT): 198}, execve=calls(237, 198), read=calls(9_000)),
    "a compiler resolves paths": run(
        errors={("readlink", errno.EINVAL): 99_000}, readlink=calls(100_000, 99_000), read=calls(90_000)
    ),
    "ls asks for labels": run(
        errors={("lgetxattr", errno.ENODATA): 9_000}, lgetxattr=calls(9_000, 9_000), read=calls(20_000)
    ),
    "an event loop reads until nothing is there": run(
        errors={("recvfrom", errno.EAGAIN): 60_000}, recvfrom=calls(110_000, 60_000)
    ),
    "no name service": run(errors={("connect", errno.ENOENT): 84}, connect=calls(84, 84), read=calls(9_000)),
    "a network is tried": run(errors={("connect", errno.ECONNREFUSED): 4}, connect=calls(5, 4)),
    "children and input are waited for": run(
        wait4=calls(10, 0, 9 * SECOND, 9 * SECOND), read=calls(10, 0, 9 * SECOND, 9 * SECOND)
    ),
    "a pipe is full": run(write=calls(10, 0, 9 * SECOND, 9 * SECOND)),
    "a terminal has ended": run(errors={("read", errno.EIO): 1}, read=calls(10, 1)),
    "a shell asks whether it may write": run(errors={("faccessat2", errno.EROFS): 1}, faccessat2=calls(1, 1)),
    "a busy machine keeps fsync from its CPU": run(fsync=calls(400, 0, 4 * SECOND))._replace(
        detail=Detail(time=Time(runqueue_ns=4 * SECOND, waits={named("fsync"): Wait(SECOND // 4, 3 * SECOND)})),
    ),
    "a build has twice as many threads as CPUs": run(read=calls(90_000))._replace(
        detail=Detail(time=Time(9 * SECOND, 9 * SECOND, 30 * SECOND, 9 * SECOND), cpus=2),
    ),
    "a busy machine keeps two threads from a CPU": run(read=calls(90_000))._replace(
        detail=Detail(time=Time(SECOND, 0, 19 * SECOND), cpus=2)
    ),
    "many threads start at once": run(0.25, read=calls(90_000))._replace(
        detail=Detail(time=Time(SECOND // 2, 0, 2 * SECOND - 1), cpus=2)
    ),
    "many threads of a machine that nobody knows": run(read=calls(90_000))._replace(
        detail=Detail(time=Time(20 * SECOND, 0, 60 * SECOND))
    ),
    "a clone makes sure that nothing is there": run(
        errors={("unlink", errno.ENOENT): 6_000}, unlink=calls(6_000, 6_000), link=calls(6_000), lstat=calls(6_000)
    ),
    "a file is saved": run(fsync=calls(3, 0, SECOND, SECOND // 2)),
    "a peer is slow, a lock is held": run(
        connect=calls(3, 0, 9 * SECOND, 9 * SECOND), flock=calls(2, 0, 9 * SECOND, 9 * SECOND)
    ),
    "a server waits": run(in_flight=(inside("epoll_wait", 50),), running=True),
    "nothing was called": run(0.0),
}
STANDS_OUT = {
    "broken": (
        run(errors={("write", errno.ENOSPC): 1}, write=calls(10, 1)),
        "write failed once with ENOSPC (no space left on device)",
    ),
    "stuck": (run(in_flight=(inside("connect", 38),), running=True), "cc1 (4242) has been in connect for 38 s"),
    "unreached": (
        run(errors={("connect", errno.ECONNREFUSED): 12}, connect=calls(13, 12)),
        "connect failed 12 times of 13 with ECONNREFUSED (connection refused)",
    ),
    "execs": (
        run(errors={("execve", errno.ENOENT): 1_200}, execve=calls(1_300, 1_200), read=calls(90_000)),
        "execve failed 1,200 times of 1,300, mostly with ENOENT (no such file or directory)",
    ),
    "failing": (
        run(errors={("openat", errno.EACCES): 99_000}, openat=calls(100_000, 99_000), read=calls(100_000)),
        "99 % of openat failed with EACCES (permission denied): 50 % of all calls were such failures",
    ),
    "syncing": (
        run(fsync=calls(400, 0, 4 * SECOND), fdatasync=calls(4, 0, SECOND // 10)),
        "4.1 s went into waiting for disks, in 404 calls of fsync and its like: 41 % of the run",
    ),
    "crowded": (
        run(read=calls(9))._replace(
            detail=Detail(time=Time(18 * SECOND, 2 * SECOND, 60 * SECOND, 9 * SECOND), cpus=2),
        ),
        "on average 8 threads at once want to run on 2 CPUs: they wait for a CPU 75 % of that time",
    ),
    "hung": (run(connect=calls(1, 0, 10 * SECOND, 10 * SECOND)), "one connect took 10 s"),
    "slow": (run(unlink=calls(9, 0, 2 * SECOND, 2 * SECOND)), "one unlink took 2 s"),
}


@pytest.mark.parametrize("name", WELL)
def test_what_is_well_is_not_spoken_of(name):
    assert sentences(WELL[name]) == ["nothing stands out"]


@pytest.mark.parametrize("rule", STANDS_OUT)
def test_what_stands_out_is_said_with_its_figure(rule):
    what, text = STANDS_OUT[rule]
    (found,) = findings(what)
    assert (found.rule, found.text) == (rule, text)
    assert found.figures


def test_every_rule_is_tried():
    assert sorted(STANDS_OUT) == sorted(rule.__name__ for rule in RULES)


def test_at_most_so_many_are_said_and_the_weightiest_first():
    errors = {("write", number): 1 for number in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EMFILE)}
    found = findings(run(errors={**errors, ("connect", errno.ETIMEDOUT): 50}, connect=calls(50, 50), write=calls(9, 5)))
    assert [each.rule for each in found] == ["broken"] * MOST


def test_a_thread_that_is_stuck_says_on_what():
    stuck = (
        inside("connect", 38)._replace(about="10.0.0.5:5432", tid=4250),
        inside("openat", 30)._replace(about="/nfs/x"),
    )
    said, hangs = (findings(run(in_flight=(each,), running=True))[0] for each in stuck)
    assert said.text == "cc1 (4242) has been in connect to 10.0.0.5:5432 for 38 s"
    assert said.figures["about"] == "10.0.0.5:5432"
    assert hangs.text == "cc1 (4242) has been in openat on /nfs/x for 30 s"


def test_a_thread_that_is_stuck_is_none_once_the_run_is_over():
    assert findings(run(in_flight=(inside("connect", 38),))) == ()


def about(snapshot: Snapshot, **touched: object) -> Snapshot:
    """The run, with what its calls were about."""
    return snapshot._replace(detail=snapshot.detail._replace(touched=Touched(**touched)))  # type: ignore[arg-type]


def missed(name: str, number: int, paths: dict[str, int]) -> dict[FailedPath, int]:
    return {FailedPath(name, number, path): count for path, count in paths.items()}


HEADERS = {f"/inc{folder}/h{at}.h": 20 for folder in range(9) for at in range(312)}
FOUND = {File("file", f"/usr/include/h{at}.h"): Use(1) for at in range(312)}
FAILING = run(errors={("openat", errno.ENOENT): 56_160}, openat=calls(79_000, 56_160), read=calls(100_000))
NAMED = {
    "searched": (
        about(FAILING, files=FOUND, failed=missed("openat", errno.ENOENT, HEADERS)),
        (
            "71 % of openat failed with ENOENT (no such file or directory): "
            "the run looks for 312 names in 9 folders before it finds them"
        ),
    ),
    "not found": (
        about(FAILING, failed=missed("openat", errno.ENOENT, HEADERS)),
        "71 % of openat failed with ENOENT (no such file or directory): 31 % of all calls were such failures",
    ),
    "one path": (
        about(FAILING, failed=missed("openat", errno.ENOENT, {"/a/b\x1b": 50_000, "/c": 6_160})),
        r"71 % of openat failed with ENOENT (no such file or directory): /a/b\x1b 50,000 times",
    ),
    "a peer": (
        about(
            STANDS_OUT["unreached"][0],
            failed=missed("connect", errno.ECONNREFUSED, {"10.0.0.5:5432": 11, "10.0.0.6:1": 1}),
        ),
        "connect failed 12 times of 13 with ECONNREFUSED (connection refused): 10.0.0.5:5432 11 times",
    ),
    "a program": (
        about(STANDS_OUT["execs"][0], failed=missed("execve", errno.ENOENT, {"/usr/bin/foo": 1_200})),
        "execve failed 1,200 times of 1,300, mostly with ENOENT (no such file or directory): /usr/bin/foo 1,200 times",
    ),
    "a file on a disk": (
        about(
            STANDS_OUT["syncing"][0],
            slowest=(
                SlowCall("fdatasync", 4242, 5, 0, "/b"),
                SlowCall("fsync", 4242, SECOND, 0, "/var/lib/x.db"),
                SlowCall("read", 4242, 9 * SECOND, 0, "/c"),
            ),
        ),
        (
            "4.1 s went into waiting for disks, in 404 calls of fsync and its like: 41 % of the run; "
            "the longest was on /var/lib/x.db"
        ),
    ),
    "a long path": (
        about(STANDS_OUT["slow"][0], slowest=(SlowCall("unlink", 4242, 2 * SECOND, 0, "/" + "x" * 4000 + "/end"),)),
        "one unlink took 2 s: on …" + "x" * 55 + "/end",
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_paths_are_named_where_they_are_known(name):
    what, text = NAMED[name]
    assert [each.text for each in findings(what)] == [text]


@pytest.mark.parametrize("name", WELL)
def test_paths_make_no_finding_of_what_is_well(name):
    run_well = WELL[name]
    failed = {
        FailedPath(call.name, number, f"/folder{at}/name"): count // 9
        for (call, number), count in run_well.errnos.items()
        for at in range(9)
    }
    slow = tuple(SlowCall(call.name, 4242, each.max_ns, 0, "/a") for call, each in run_well.syscalls.items())
    assert sentences(about(run_well, files=FOUND, failed=failed, slowest=slow)) == ["nothing stands out"]


def test_the_program_that_searched_most_is_named():
    openat = (named("openat"), errno.ENOENT)
    searcher = process(4243, {})._replace(comm="cc1", errnos={openat: 56_000})
    snapshot = NAMED["searched"][0]._replace(processes=(process(4242, {}), searcher))
    assert findings(snapshot)[0].text.endswith(": cc1 looks for 312 names in 9 folders before it finds them")
    assert findings(snapshot)[0].figures["folders"] == 9


def test_the_program_that_failed_most_is_named_where_no_path_is():
    openat = (named("openat"), errno.ENOENT)
    compiler = process(4243, {})._replace(comm="ld", errnos={openat: 56_000})
    snapshot = NAMED["not found"][0]._replace(processes=(process(4242, {}), compiler))
    assert findings(snapshot)[0].text.endswith(": 31 % of all calls were such failures, most of them of ld")
    spread = snapshot._replace(processes=(process(4242, {}), compiler._replace(errnos={openat: 20_000})))
    assert findings(spread)[0].text.endswith(": 31 % of all calls were such failures")


def test_what_was_lost_may_have_stood_out() -> None:
    short = WELL["a file is saved"]._replace(loss=Loss(rows=3))
    assert sentences(short) == ["nothing stands out in what was counted"]
