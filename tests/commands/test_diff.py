"""`diff` from outside: change is told from noise, and a rule that is broken is exit status 1, with its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from denet_tui.record.gate import Rule
from tests.record.made import INFO, OPENAT, READ, WRITE, counted, process, snapshot
from tests.record.test_read import chained, recorded
from tests.watch.helpers import denet


def run_of(path: Path, reads: int, errors: int = 0, each_ns: int = 1000, *, writes: int = 0) -> Path:
    rows = {READ: counted(reads), OPENAT: counted(1000, errors, each_ns)}
    if writes:
        rows[WRITE] = counted(writes)
    make = process(INFO.pid, rows, end_s=0.4)
    return recorded(path, chained([snapshot(0.5, [make], ended=[make], running=False, status=0)]))


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
            str(run_of(tmp_path / f"{name}{at}", *each, writes=50 * (name == "worse"))) for at, each in enumerate(runs)
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
    assert "| cc1 | write | vanished | calls 50 → 0 |" in differed(sides["worse"][0], sides["base"][0])


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("openat.errors > +10%", True), ("openat.errors > +200%", False), ("openat.errors>200", True),
        ("openat.errors > 300", False), ("openat.errors > +100", True), ("cc1/openat.errors > +10%", True),
        ("ld/openat.errors > +10%", False), ("*.calls > +10%", False), ("write.calls > +1%", True),
        ("openat.time > +2ms", True), ("openat.time > 1s", False), ("nothing.calls > +0%", False),
    ],
)  # fmt: skip
def test_rules(tmp_path: Path, rule: str, broken: bool) -> None:
    base, new = run_of(tmp_path / "a", 1000, 100), run_of(tmp_path / "b", 1000, 255, 9000, writes=50)
    told = differed(str(base), str(new), "--fail-on", rule, status=int(broken))
    assert (f"**{rule}** is so" in told) is broken


@pytest.mark.parametrize(
    "words",
    ["", "openat", "openat.errors", "openat.errors > 10%", "openat.errors > -1", "openat.errors > 1ms", "x.time > 5",
     "openat.speed > 1", "openat.errors > +" + "9" * 40],
)  # fmt: skip
def test_what_is_no_rule_says_what_one_is(words: str) -> None:
    with pytest.raises(ValueError, match=r"is no rule: \[PROGRAM/\]SYSCALL"):
        Rule.of(words)


def test_wrong_words_are_one_line(tmp_path: Path) -> None:
    one = str(run_of(tmp_path / "a", 1))
    for words, says in (
        ((one,), "diff takes two recordings"),
        ((one, one, one), "diff takes two recordings"),
        (("--base", one), "diff takes two recordings"),
        ((one, one, "--nonsense"), "No such option '--nonsense'"),
        ((one, one, "--fail-on", "x"), "'x' is no rule"),
        ((one, str(tmp_path / "none")), "No such file"),
    ):
        done = denet("diff", *words)
        assert (done.returncode, done.stdout) == (125, ""), words
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
