"""Files that cannot be written, fill up, or lose their reader while a command is watched."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from denet_tui.record import spool as spool_module
from denet_tui.record.sink import RecordError, Sink, batches
from denet_tui.record.writer import Recorder
from tests.record.made import INFO, READ, category, counted, lines_of, process, snapshot, story

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
not_root = pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="needs setpriv under root")
PROJECT = Path(__file__).parents[2]


def refusal(path: Path) -> str:
    with pytest.raises(RecordError) as caught:
        Recorder(INFO, category, path=path).start()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_missing_folder_is_named_and_told_what_to_do(tmp_path):
    text = refusal(tmp_path / "none" / "rec.jsonl")
    assert "rec.jsonl" in text
    assert "create it" in text


def test_a_folder_cannot_be_a_recording(tmp_path):
    assert "name a file in it" in refusal(tmp_path)


def test_a_pipe_that_nobody_reads_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "start its reader first" in refusal(tmp_path / "pipe")


def test_a_pipe_that_somebody_reads_takes_the_recording(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    recorder = Recorder(INFO, category, path=tmp_path / "pipe")
    while True:
        try:
            recorder.start()
            break
        except RecordError:  # the reader's thread has not come to its open() yet
            recorder = Recorder(INFO, category, path=tmp_path / "pipe")
    recorder.finish(story()[0])
    reader.join(10)
    assert recorder.failure is None
    assert json.loads(got[0].splitlines()[-1])["kind"] == "summary"


def test_a_newline_in_the_name_does_not_make_two_lines(tmp_path):
    assert "line\\nbreak" in refusal(tmp_path / "none" / "line\nbreak")


def test_a_full_disk_is_told_before_the_command_starts():
    text = refusal(Path("/dev/full"))
    assert os.strerror(errno.ENOSPC) in text
    assert "free some space" in text


def test_recording_and_summary_must_be_two_files(tmp_path):
    path = tmp_path / "both"
    with pytest.raises(RecordError, match="same file"):
        Recorder(INFO, category, path=path, summary_path=path).start()


def test_a_full_summary_file_is_told_and_leaves_the_recording_whole(tmp_path):
    recorder = Recorder(INFO, category, path=tmp_path / "rec.jsonl", summary_path="/dev/full")
    recorder.start()
    recorder.finish(story()[0])
    assert recorder.failure is not None
    assert recorder.failure.startswith("the summary /dev/full stopped: No space left on device")
    assert lines_of(tmp_path / "rec.jsonl")[-1]["kind"] == "summary"


def test_a_reader_that_goes_away_stops_only_its_own_stream(tmp_path):
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb") as stream:
        recorder = Recorder(INFO, category, stream=stream, path=tmp_path / "rec.jsonl")
        recorder.start()
        os.close(ours)
        told = story()
        for one in told:
            recorder.add(one)
        recorder.finish(told[-1])
    assert recorder.failure is not None
    assert "Broken pipe" in recorder.failure
    assert [line["kind"] for line in lines_of(tmp_path / "rec.jsonl")].count("tree") == 4


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything():
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    sink = Sink(theirs, "test", owned=True)
    block = b"x" * 300_000 + b"\n"  # more than a pipe holds
    got = bytearray()

    def read() -> None:
        while part := os.read(ours, 1000):
            got.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    sink.write(block)
    sink.close()
    reader.join(20)
    os.close(ours)
    assert sink.failure is None
    assert bytes(got) == block


def test_a_file_that_may_grow_no_more_ends_with_a_whole_line(tmp_path):
    """RLIMIT_FSIZE lets a part of a write through and refuses the rest, like a disk that fills up."""
    path = tmp_path / "rec.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(INFO, category, path=path)
    recorder.start()
    told = story()
    recorder.add(told[0])
    size = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, before[1]))
    try:
        recorder.add(told[1])
        assert recorder.failure is not None
        recorder.add(told[2])
        recorder.finish(told[3])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in recorder.failure
    kinds = [line["kind"] for line in lines_of(path)]
    assert kinds[0] == "metadata"
    assert "summary" not in kinds, "a summary after a gap would not fit the lines before it"
    assert size < path.stat().st_size <= size + 500


def test_a_temporary_file_that_fills_up_leaves_no_wrong_summary(tmp_path, monkeypatch):
    full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115 - the recorder closes it
    monkeypatch.setattr(spool_module.tempfile, "TemporaryFile", lambda prefix: full)
    recorder = Recorder(INFO, category, path=tmp_path / "rec.jsonl", summary_path=tmp_path / "sum.json")
    recorder.start()
    told = story()
    for one in told:
        recorder.add(one)
    recorder.finish(told[-1])
    assert recorder.failure is not None
    assert "TMPDIR" in recorder.failure
    assert [line["kind"] for line in lines_of(tmp_path / "rec.jsonl")][-1] == "tree"
    assert (tmp_path / "sum.json").read_bytes() == b""


FILL = """
import os, sys
from pathlib import Path
from denet_tui.record.writer import Recorder
from tests.record.made import INFO, READ, category, counted, idle, lines_of, process, snapshot
os.environ["TMPDIR"] = "/"
path = Path(sys.argv[1]) / "rec.jsonl"
recorder = Recorder(INFO, category, path=path)
recorder.start()
make = process(1000, {READ: counted(1)})
for tick in range(2000):
    recorder.add(snapshot(tick / 2, [make]))
assert recorder.failure and "No space left on device" in recorder.failure, recorder.failure
recorder.finish(snapshot(1000, [make]))
assert len(recorder.failure.splitlines()) == 1
lines = lines_of(path)
assert lines[0]["kind"] == "metadata" and lines[-1]["kind"] in ("tree", "process"), lines[-1]
print(len(lines), path.stat().st_size)
"""


@root
def test_a_disk_that_fills_up_keeps_its_whole_lines(tmp_path):
    """For real: a file system of 64 KiB, in a mount namespace of its own."""
    script = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), sys.executable, FILL]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    count, size = map(int, done.stdout.split())
    assert count > 20
    assert 32_000 < size <= 65_536


@not_root
def test_a_file_of_somebody_else_is_refused(tmp_path):
    code = (
        "import sys\nfrom denet_tui.record.writer import Recorder\nfrom denet_tui.record.sink import RecordError\n"
        "from tests.record.made import INFO, category\n"
        "try: Recorder(INFO, category, path='/proc/1/comm').start()\n"
        "except RecordError as told: print(told)"
    )
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    if done.returncode and ("Permission" in done.stderr or "No module named" in done.stderr):
        pytest.skip("the project is in a folder that nobody else may read")
    assert "you may not write there" in done.stdout, done.stderr


def test_batches_keep_every_piece_and_stay_small():
    pieces = [f"{index}," * 1000 for index in range(1000)]
    blocks = list(batches(iter(pieces)))
    assert b"".join(blocks).decode() == "".join(pieces)
    assert max(map(len, blocks)) < 300_000
    assert len(blocks) > 10
    assert list(batches([])) == []


def test_a_huge_tick_is_one_line_after_its_pieces(tmp_path):
    crowd = [process(2000 + index, {READ: counted(1)}, start_s=0.1) for index in range(3000)]
    recorder = Recorder(INFO, category, path=tmp_path / "rec.jsonl")
    recorder.start()
    recorder.finish(snapshot(0.5, crowd))
    lines = lines_of(tmp_path / "rec.jsonl")
    (tree,) = [line for line in lines if line["kind"] == "tree"]
    pieces = [line["denet_tui"]["processes"] for line in lines if line["kind"] == "more" and line["of"] == "tree"]
    assert len(tree["children"]) == 3000
    assert len(tree["denet_tui"]["processes"].keys() | set().union(*pieces)) == 3000


def test_a_temporary_file_that_cannot_be_read_leaves_no_half_summary(tmp_path, monkeypatch):
    def items(spool: spool_module.Spool):
        yield f'"{"x" * 600_000}"'  # enough for a part of the summary to be in the file already
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(spool_module.Spool, "items", items)
    recorder = Recorder(INFO, category, path=tmp_path / "rec.jsonl")
    recorder.start()
    recorder.finish(story()[0])
    assert recorder.failure is not None
    assert "Input/output error" in recorder.failure
    *_, before, last = [line["kind"] for line in lines_of(tmp_path / "rec.jsonl")]
    assert (before, last) == ("tree", "more")
