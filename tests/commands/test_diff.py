"""`diff` from outside: change is told from noise, and a rule that is broken is exit status 1, with its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from denet_tui.detail import Detail
from denet_tui.model import Loss
from denet_tui.record.gate import Rule
from denet_tui.system.visible import markdown
from denet_tui.touched import FailedPath, File, Touched, Use
from tests.forked import each
from tests.record.made import INFO, OPENAT, READ, WRITE, counted, process, snapshot
from tests.record.test_read import chained, recorded
from tests.watch.helpers import denet


def run_of(
    path: Path, reads: int, errors: int = 0, each_ns: int = 1000, *, writes: int = 0, about: Touched | None = None
) -> Path:
    rows = {READ: counted(reads), OPENAT: counted(1000, errors, each_ns)}
    if writes:
        rows[WRITE] = counted(writes)
    make = process(INFO.pid, rows, end_s=0.4)
    detail = Detail(touched=about)
    return recorded(path, chained([snapshot(0.5, [make], ended=[make], running=False, status=0, detail=detail)]))


@pytest.fixture
def sides(tmp_path: Path) -> dict[str, list[str]]:
    """Three runs a side that differ by more among each other than the sides do, and one side that is worse."""
    made = {
        "base": [(900, 100), (1000, 105), (1200, 95)],
        "same": [(1100, 101), (950, 99), (1210, 104)],
        "worse": [(1000, 250, 9000), (1100, 260, 9000), (900, 255, 9000)],
    }
    return {
        name: [
            str(run_of(tmp_path / f"{name}{at}", *run, writes=50 * (name == "worse"))) for at, run in enumerate(runs)
        ]
        for name, runs in made.items()
    }


def differed(*words: str, status: int = 0) -> str:
    done = denet("diff", *words)
    assert (done.returncode, done.stderr) == (status, "")
    return done.stdout


def test_noise_is_no_change_and_change_is_named(sides: dict[str, list[str]]) -> None:
    rule = ("--fail-on", "openat.errors > +10%")
    assert differed("--base", *sides["base"], "--new", *sides["same"], *rule) == "no change beyond noise\n"
    told = differed("--base", *sides["base"], "--new", *sides["worse"], *rule, status=1)
    assert told.startswith("- **openat.errors > +10%** is so: errors 100 → 255\n")
    assert {line for line in told.splitlines() if line.startswith("| cc1")} == {
        "| cc1 | openat | slowed | time 1.00ms → 9.00ms |",
        "| cc1 | openat | grew | errors 100 → 255 |",
        "| cc1 | write | appeared | calls 0 → 50 |",
    }
    # How much a time varies from run to run cannot be told of two runs.
    alone = differed(sides["worse"][0], sides["base"][0])
    assert "| cc1 | write | vanished | calls 50 → 0 |" in alone
    assert "faster" not in alone
    assert "times are compared where each side has three recordings" in alone


def test_a_call_that_is_slower_itself_is_told_from_a_busy_machine(tmp_path: Path) -> None:
    """Every run has more or less of calls that others have kept waiting, and one of the base almost nothing else."""
    ms = 1_000_000

    def side(name: str, *runs: tuple[int, int, int]) -> list[str]:
        found = []
        for at, (calls, each_ns, waited) in enumerate(runs):
            rows = {OPENAT: counted(calls, 0, each_ns).plus(counted(waited, 0, 40 * ms))}
            make = process(INFO.pid, rows, end_s=0.4)
            tick = snapshot(0.5, [make], ended=[make], running=False, status=0)
            found.append(str(recorded(tmp_path / f"{name}{at}", chained([tick]))))
        return found

    base = side("base", (9, ms // 3, 3), (10, ms // 2, 9), (10, 4 * ms, 1))
    slow = side("slow", (10, 4 * ms, 9), (10, 4 * ms, 0), (10, 15 * ms, 1))
    rule = ("--fail-on", "openat.p10 > +1ms")
    told = differed("--base", *base, "--new", *slow, *rule, status=1).splitlines()
    assert told[0].startswith("- **openat.p10 > +1ms** is so: p10 ")
    assert [line[: line.index(" → ")] for line in told if "cc1" in line] == ["| cc1 | openat | slowed | p10 320us"]
    assert "| cc1 | openat | faster | p10 " in differed("--base", *slow, "--new", *base, *rule)
    busy = side("busy", (10, ms // 2, 30), (10, ms // 3, 60), (10, ms, 60))
    assert "p10" not in differed("--base", *base, "--new", *busy, *rule)
    few = side("few", (2, 15 * ms, 0), (2, 15 * ms, 0), (2, 15 * ms, 0))
    undecided = denet("diff", "--base", *base, "--new", *few, *rule)
    assert (undecided.returncode, "| p10 " in undecided.stdout) == (125, False), "of two calls it is a chance"


def test_a_few_calls_in_the_bucket_below_hide_no_slower_ones(tmp_path: Path) -> None:
    """Seen of an fsync with 3 ms more: told by whole buckets, one of its runs was half as slow as the others."""
    ms = 1_000_000

    def side(name: str, *runs: tuple[int, int]) -> list[str]:
        found = []
        for at, (below, above) in enumerate(runs):
            rows = {
                OPENAT: counted(below, 0, 3 * ms if name == "slow" else 3 * ms // 2).plus(counted(above, 0, 5 * ms))
            }
            make = process(INFO.pid, rows, end_s=0.4)
            tick = snapshot(0.5 + at / 100, [make], ended=[make], running=False, status=0)
            found.append(str(recorded(tmp_path / f"{name}{at}", chained([tick]))))
        return found

    rule = ("--fail-on", "openat.p10 > +1ms")
    base, slow = side("base", (9, 1), (10, 0), (8, 2)), side("slow", (2, 8), (0, 10), (0, 10))
    told = differed("--base", *base, "--new", *slow, *rule, status=1)
    assert "| cc1 | openat | slowed | p10 " in told


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["openat.time > +2ms", "*.time > +10%", "openat.p10 > +1us", "cc1/*.p10 > +1us"])
def test_how_much_slower_cannot_be_decided_of_one_run(sides: dict[str, list[str]], rule: str) -> None:
    base, worse = sides["base"], sides["worse"]
    for sizes in ((1, 1), (2, 3), (3, 1)):
        words = "--base", *base[: sizes[0]], "--new", *worse[: sizes[1]], "--fail-on"
        done = denet("diff", *words, rule)
        assert done.returncode == 125
        escaped = rule.replace("*", "\\*")
        assert done.stdout.startswith(f"- **{escaped}** cannot be decided: "), done.stdout
        assert f"{rule!r} cannot be decided: a time is told from noise where each side has 3" in done.stderr
        assert denet("diff", *words, rule, "--fail-on", "openat.errors > +10%").returncode == 1
    assert denet("diff", "--base", *base, "--new", *worse, "--fail-on", rule).returncode == 1


def test_the_same_recording_thrice_is_one(tmp_path: Path) -> None:
    """How much a time varies from run to run is not known of it, though it differs from itself by nothing."""
    one, *others = (str(run_of(tmp_path / f"{each}", 1000, each_ns=each)) for each in (10_000, 11_500, 12_000, 12_500))
    for sides in (("--base", one, one, one, "--new", *others), ("--base", *others, "--new", one, one, one)):
        done = denet("diff", *sides, "--fail-on", "*.time > +10%")
        assert (done.returncode, "cannot be decided" in done.stdout) == (125, True), done.stdout


def test_a_time_over_its_limit_and_a_change_beyond_noise_agree(tmp_path: Path) -> None:
    base, near, far = (
        [str(run_of(tmp_path / f"{each}{at}", 1000, each_ns=each + at)) for at in range(3)]
        for each in (10_000, 13_000, 40_000)
    )
    rule = ("--fail-on", "openat.time > +10%")
    assert differed("--base", *base, "--new", *near, *rule) == "no change beyond noise\n"
    assert "| cc1 | openat | slowed | time 10.0ms → 40.0ms |" in differed(
        "--base", *base, "--new", *far, *rule, status=1
    )
    counts = differed(
        "--base", *base, "--new", str(run_of(tmp_path / "more", 1050)), "--fail-on", "read.calls > +1%", status=1
    )
    assert "no other change beyond noise" in counts, "calls are exact, and a limit of them is a limit"


def test_files_and_failing_paths_differ(tmp_path: Path) -> None:
    def about(read_bytes: int, missed: int, pipe: str) -> Touched:
        files = {File("file", "/a|b"): Use(read_bytes=read_bytes), File("pipe", pipe): Use(write_bytes=10**9)}
        return Touched(files, failed={FailedPath("openat", 2, "/x"): missed, FailedPath("stat", 2, None): 9})

    base = str(run_of(tmp_path / "base", 1000, about=about(100_000, 0, "pipe:[1]")))
    same = str(run_of(tmp_path / "same", 1000, about=about(110_000, 5, "pipe:[2]")))
    more = str(run_of(tmp_path / "more", 1000, about=about(300_000, 40, "pipe:[3]")))
    unwatched = str(run_of(tmp_path / "none", 1000))
    for other in (same, unwatched):
        assert differed(base, other).startswith("no change beyond noise\n\ntimes are compared where each")
    assert differed(base, more).splitlines()[1:-2] == [
        "",
        "| path | failing call | | before → after |",
        "|---|---|---|---|",
        "| /a\\|b |  | grew | bytes read 100,000 → 300,000 |",
        "| /x | openat ENOENT | appeared | failures 0 → 40 |",
    ]


BROKEN = (
    "openat.errors > +10%", "openat.errors>200", "openat.errors > +100", "cc1/openat.errors > +10%",
    "write.calls > +1%", "openat.time > 2ms",
)  # fmt: skip
KEPT = (
    "openat.errors > +200%", "openat.errors > 300", "cc1/close.errors > +10%", "*.calls > +10%", "openat.time > 1s",
    "rmdir.calls > +0%", "ia32:read.calls > 1", "syscall_999.calls > 1",
)  # fmt: skip


def test_rules(tmp_path: Path) -> None:
    sides = (str(run_of(tmp_path / "a", 1000, 100)), str(run_of(tmp_path / "b", 1000, 255, 9000, writes=50)))
    kept, broken = ([word for rule in rules for word in ("--fail-on", rule)] for rules in (KEPT, BROKEN))
    assert "** is so" not in differed(*sides, *kept)
    told = differed(*sides, *broken, *kept, status=1)
    assert set(re.findall(r"\*\*(.+)\*\* is so", told)) == set(BROKEN)
    differed(*sides, *broken[-2:], status=1)  # one is enough


EACH_BROKEN = ("*/openat.calls > 5", "*/*.calls > 5", "*/openat.errors > 0", "*/read.calls > +0", "*/read.p10 > 1ns")
EACH_KEPT = ("*/openat.calls > 60", "*/*.calls > 70", "*/openat.errors > +0", "*/rmdir.calls > 0")


def test_a_rule_of_each_program_looks_at_each_by_itself(tmp_path: Path) -> None:
    def side(name: str, reads: int) -> str:
        rows = {"cc1": {OPENAT: counted(60, 3)}, "cat": {OPENAT: counted(60), READ: counted(reads)}}
        both = [process(INFO.pid + at, rows[comm], comm=comm, end_s=0.4) for at, comm in enumerate(rows)]
        return str(recorded(tmp_path / name, chained([snapshot(0.5, both, ended=both, running=False, status=0)])))

    sides = side("a", 9), side("b", 10)
    for rule, told in zip(
        EACH_BROKEN, ("cat|cc1: calls 60", "cat: calls 69", "cc1: errors", "cat: calls 9", "cat: p10"), strict=True
    ):
        said = differed(*sides, "--fail-on", rule, status=1)
        assert re.match(rf"- \*\*{re.escape(markdown(rule))}\*\* is so: ({told})", said), said
    assert "is so" not in differed(*sides, *(word for rule in EACH_KEPT for word in ("--fail-on", rule)))


@pytest.mark.parametrize(
    "words",
    ["", "openat", "openat.errors", "openat.errors > 10%", "openat.errors > -1", "openat.errors > 1ms", "x.time > 5",
     "openat.speed > 1", "openat.errors > +" + "9" * 40],
)  # fmt: skip
def test_what_is_no_rule_says_what_one_is(words: str) -> None:
    with pytest.raises(ValueError, match=r"is no rule: \[PROGRAM/\]SYSCALL"):
        Rule.of(words)


NOT_THERE = [
    ("opneat.errors > +10%", "there is no system call 'opneat'; did you mean openat?"),
    ("opena.calls > 5", "there is no system call 'opena'; did you mean openat?"),
    ("a:b:c.calls > 5", "there is no system call 'a:b:c'"),
    ("cc/openat.errors > +10%", "there is no program 'cc'; did you mean cc1?"),
    ("tmux: server/a/openat.calls > 5", "there is no program 'tmux: server/a'"),
]


def test_a_rule_that_names_what_is_not_there_does_not_pass(tmp_path: Path) -> None:
    one = str(run_of(tmp_path / "a", 1))
    asked = [["diff", one, one, "--fail-on", "openat.calls > +10%", "--fail-on", rule] for rule, _ in NOT_THERE]
    for (rule, says), done in zip(NOT_THERE, each(asked), strict=True):
        assert (done.returncode, done.stdout, done.stderr) == (125, "", f"denet-tui: {rule!r}: {says}\n")


def test_where_a_side_is_not_exact_no_rule_passes(tmp_path: Path) -> None:
    whole = run_of(tmp_path / "a", 1000)
    make = process(INFO.pid, {READ: counted(1)})
    lossy = str(recorded(tmp_path / "b|", chained([snapshot(0.5, [make], running=False, status=0, loss=Loss(rows=7))])))
    cut = tmp_path / "c"
    cut.write_bytes(whole.read_bytes()[: whole.read_bytes().index(b'{"kind":"summary"') + 20])
    why = "b| is not exact (7 calls not assigned to a process (pid_syscall_map full))"
    cases = [
        ((str(whole), lossy), why),
        ((lossy, str(whole)), why),
        ((str(whole), str(cut)), "c is not exact (no end: growing, or cut off)"),
        ((str(cut), str(whole)), "c is not exact (no end: growing, or cut off)"),
    ]
    rules = ([], ["--fail-on", "read.calls > +1000%"], ["--fail-on", "read.calls > 0"])
    answers = iter(each(["diff", *sides, *rule] for sides, _ in cases for rule in rules))
    for _, says in cases:
        line = f"- {tmp_path}/{says[: says.index(' is')]} is not exact: ".replace("|", "\\|")
        alone, done, broken = (next(answers) for _ in rules)
        assert (alone.returncode, alone.stderr) == (0, "")
        assert line in alone.stdout
        assert (done.returncode, done.stderr) == (125, f"denet-tui: no rule can be decided: {tmp_path}/{says}\n")
        assert "- **read.calls > 0** cannot be decided: " in broken.stdout
        assert line in done.stdout


def test_it_can_be_debugged(tmp_path: Path) -> None:
    one = str(run_of(tmp_path / "a", 1))
    for words in (("diff", "--debug", one, one), ("diff", one, one, "--debug"), ("report", one, "--debug")):
        done = denet(*words)
        assert (done.returncode, done.stderr) == (0, ""), words


def test_wrong_words_are_one_line(tmp_path: Path) -> None:
    one = str(run_of(tmp_path / "a", 1))
    cases: list[tuple[tuple[str, ...], str]] = [
        ((one,), "diff takes two recordings"),
        ((one, one, one), "diff takes two recordings"),
        (("--base", one), "diff takes two recordings"),
        ((one, one, "--nonsense"), "No such option '--nonsense'"),
        (("-", "-"), "standard input can be one of the recordings only"),
        ((one, one, "--fail-on", "x"), "'x' is no rule"),
        ((one, str(tmp_path / "none")), "No such file"),
    ]
    for (words, says), done in zip(cases, each(["diff", *words] for words, _ in cases), strict=True):
        assert (done.returncode, done.stdout) == (125, ""), words
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
