"""`export` from outside: stacks add up to the time of all, and Prometheus' own parser reads what is for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from denet_tui.model import Loss, Snapshot
from tests.record.made import INFO, OPENAT, READ, WRITE, counted, process, snapshot
from tests.record.test_read import chained, recorded
from tests.watch.helpers import denet


def run_of(**more: object) -> list[Snapshot]:
    """make, a shell below it, two compilers below that, and one below a later owner of the shell's id."""
    gone = [
        process(1001, {READ: counted(10, each_ns=2000)}, comm="s;h\x1b", start_s=0.01, end_s=0.2),
        process(1002, {OPENAT: counted(5, 2, 4000)}, ppid=1001, comm="cc1", start_s=0.02, end_s=0.1),
        process(1003, {OPENAT: counted(3, 0, 4000)}, ppid=1001, comm="cc1", start_s=0.03, end_s=0.1),
    ]
    living = [
        process(INFO.pid, {READ: counted(1000), WRITE: counted(1, each_ns=1)}, comm="make"),
        process(1001, {}, comm='l"d', start_s=0.3),
        process(1004, {WRITE: counted(1, each_ns=7000)}, ppid=1001, comm="a\\b", start_s=0.31),
    ]
    return chained([snapshot(0.5, [*living, *gone], ended=gone, **more)])


def exported(path: Path, tool: str, says: str = "") -> str:
    done = denet("export", "--to", tool, str(path))
    assert (done.returncode, done.stderr) == (0, says)
    return done.stdout


def test_stacks_are_of_the_process_tree_and_add_up(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rec.jsonl", run_of(running=False, status=0))
    assert exported(path, "folded").splitlines() == [
        'make;l"d;a\\b;write 7',
        "make;read 1000",
        "make;s:h\\x1b;cc1;openat 32",
        "make;s:h\\x1b;read 20",
    ]


def test_prometheus_reads_what_is_for_it(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rec.jsonl.gz", run_of(loss=Loss(rows=3, missed=None)))
    lost = "3 calls not assigned to a process (pid_syscall_map full)"
    told = exported(path, "openmetrics", f"denet-tui: {path} is not exact: {lost}\n")
    samples = {
        (each.name, *sorted(each.labels.values())): each.value
        for family in text_string_to_metric_families(told)
        for each in family.samples
    }
    assert samples["denet_calls_total", "cc1", "openat"] == 8
    assert samples["denet_errors_total", "cc1", "openat"] == 2
    assert samples["denet_call_seconds_count", "openat"] == 8
    assert samples["denet_call_seconds_sum", "openat"] == pytest.approx(32e-6)
    assert samples["denet_call_seconds_bucket", "2.047e-06", "openat"] == 0
    assert samples["denet_call_seconds_bucket", "4.095e-06", "openat"] == 8
    assert samples["denet_call_seconds_bucket", "+Inf", "openat"] == 8
    assert samples["denet_lost_total", "rows"] == 3
    assert ("denet_lost_total", "missed") not in samples
    assert samples["denet_exact",] == 0


def test_what_cannot_be_exported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("{}\n")
    for words, says in ((("--to", "folded"), "is no recording"), (("--to", "x"), "is not one of"), ((), "--to")):
        done = denet("export", *words, str(tmp_path / "odd"))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (125, "", 1)
        assert says in done.stderr
