"""Twenty thousand ended processes, and memory that does not notice them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.record.spool import Spool
from tests.real import REPOSITORY

MANY = """
import sys
from pathlib import Path
from denet_tui.model import Syscall
from denet_tui.record.writer import Recorder
from tests.record.made import INFO, category, counted, idle, merged, process, snapshot

def peak_kb():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])

many, path = int(sys.argv[1]), Path(sys.argv[2])
calls, said = {Syscall(0, 1, "call_1"): counted(3, 1)}, ("sh", "-c", "x" * 300)
make = process(1000, {})
recorder = Recorder(INFO, category, path=path, summary_path=path.with_suffix(".json"))
recorder.start()
shown, before = [], peak_kb()
for tick in range(many // 100):
    ended = [process(2000 + tick * 100 + i, calls, start_s=tick, end_s=tick + 0.1, cmdline=said) for i in range(100)]
    last = snapshot(tick + 1, [make, *shown], ended=ended)
    recorder.add(last)
    shown = [idle(one) for one in ended]
recorder.finish(last)
assert recorder.failure is None
print(peak_kb() - before)
"""


def growth_kb(many: int, path: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(many), str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_memory_is_flat_over_20_000_ended_processes(tmp_path):
    few, many = growth_kb(1_000, tmp_path / "few.jsonl"), growth_kb(20_000, tmp_path / "many.jsonl")
    size_kb = (tmp_path / "many.json").stat().st_size // 1024
    assert size_kb > 8_000, "a summary so long that holding it would show"
    assert many - few < 4_000, f"{few} kB for 1,000 processes, {many} kB for 20,000"
    summary = json.loads((tmp_path / "many.json").read_text())
    assert len({one["pid"] for one in summary["processes"]}) == 20_001
    with (tmp_path / "many.jsonl").open("rb") as lines:
        *_, last = lines
    assert json.loads(last)["kind"] == "summary"


def test_items_come_back_as_the_inside_of_an_array_as_often_as_asked():
    spool = Spool()
    assert "".join(spool.blocks()) == ""
    items = [{"pid": index, "text": "x" * 50} for index in range(5000)]
    for item in items:
        spool.add(json.dumps(item))
    assert json.loads("[" + "".join(spool.blocks()) + "]") == items
    assert max(map(len, spool.blocks())) <= 65_536
    spool.close()


def test_a_spool_has_no_name_and_goes_with_its_owner(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spool = Spool()
    spool.add("1")
    assert list(tmp_path.iterdir()) == []
    spool.close()
    with pytest.raises(ValueError, match="closed"):
        spool.add("2")


@pytest.mark.parametrize("most", [0, 1024])
def test_a_limit_of_files_is_not_taken_for_want_of_space(tmp_path, most):
    code = "import resource, sys\nfrom tests.record import made\nfrom denet_tui.record.writer import Recorder\n"
    code += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
    code += "recorder = Recorder(made.INFO, made.category, stream=sys.stdout.buffer)\n"
    code += "recorder.start()\nrecorder.finish(made.snapshot(1, [made.process(1, {}, cmdline=('x' * 5000,))]))\n"
    code += "sys.exit(recorder.failure)"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY)
    assert "(raise the limit (ulimit -f))" in done.stderr
    assert "free some space" not in done.stderr
