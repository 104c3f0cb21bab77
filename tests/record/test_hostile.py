"""Whatever a file holds, reading it ends in snapshots or in one printable line."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.record import text, tree
from denet_tui.record.export import Stacks, openmetrics
from denet_tui.record.perfetto import Trace
from denet_tui.record.read import UnreadableError
from denet_tui.record.totals import Totals
from tests.record.made import START_NS
from tests.record.test_read import opened, recorded, told

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.integers(min_value=1 << 62),
    st.sampled_from(["\x1b[2J", "1001", "read", "NaN", 1 << 64, -1, 1e308, "9" * 5000]),
)  # fmt: skip
values = st.recursive(
    scalars, lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3)
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:  # so that there are `more` lines
        patch.setattr(text, "PIECE", 1)
        patch.setattr(tree, "_MANY", 1)
        return recorded(tmp_path_factory.mktemp("hostile") / "rec.jsonl", told())


def takes(path: Path) -> None:
    stacks = Stacks()
    try:
        track, trace = opened(path), io.BytesIO()
        totals = Totals.of(track, stacks.add)
    except UnreadableError as problem:
        said = str(problem)
    else:
        told = Trace(track.info, trace)
        told.finish(Totals.of(opened(path), told.process, told.tick).last)
        assert trace.getvalue()
        json.dumps(totals.as_object())
        said = "".join([*stacks.lines(), *openmetrics(totals)])
    assert said.isprintable()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container below a value, with a key of it."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@settings(max_examples=100, deadline=None)
@given(st.data())
@pytest.mark.slow
def test_any_value_in_any_place(recording: Path, data: st.DataObject) -> None:
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(data.draw(st.sampled_from(lines)))
        container, key = data.draw(st.sampled_from(found))
        if data.draw(st.booleans()):
            container[key] = data.draw(values)
        elif isinstance(container, dict):
            container[data.draw(st.text(max_size=8) | st.sampled_from(["1001@5", "7", "x@y", "²"]))] = container.pop(
                key
            )
        else:
            del container[key]
    path = recording.with_name("odd")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    takes(path)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_lines_in_any_order_and_any_bytes(recording: Path, data: st.DataObject) -> None:
    lines = recording.read_bytes().splitlines(keepends=True)
    order = data.draw(st.lists(st.sampled_from(lines), max_size=20))
    content = bytearray(b"".join([lines[0], *order]))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=3)):
        content[at] = byte
    path = recording.with_name("odd")
    path.write_bytes(content)
    takes(path)


@pytest.mark.parametrize("where", ["files", "failed_paths", "slowest", "empty"])
def test_numbers_and_lines_that_there_cannot_be(recording: Path, where: str) -> None:
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    ticks = [line["denet_tui"]["touched"] for line in lines if line["kind"] == "tree"]
    each = next((some[0] for touched in ticks if (some := touched.get(where))), {})
    huge = 10**400
    each.update({"all": [huge] * 7} if "all" in each else {"count": huge} if "count" in each else {"time_ns": huge})
    path = recording.with_name(where)
    text = [json.dumps(line) for line in lines] if where != "empty" else [json.dumps(lines[0]), "\n" * 2000]
    path.write_text("\n".join(text))
    with pytest.raises(UnreadableError, match=r"line \d|empty lines") as caught:
        Totals.of(opened(path), Stacks().add)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [True, 10**17, 9 * 10**18])
@pytest.mark.parametrize(
    "name", ["t0_ms", "start_ns", "time_ns", "interval_ns", "elapsed_ns", "wall_ms", "at_ns", "tgid", "uid", "ts_ms"]
)
def test_times_that_no_trace_has_room_for(recording: Path, name: str, value: int) -> None:
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    executed = {"tgid": 1000, "at_ns": START_NS, "path": "/x", "argv": None, "cwd": None, "uid": 0, "errno": None}
    next(each for each in reversed(lines) if each["kind"] == "tree")["denet_tui"]["execs"] = [executed]
    for container, key in places(lines):
        if key == name:
            container[key] = value
    path = recording.with_name("times")
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    takes(path)


@pytest.mark.parametrize("value", [True, 10**17, 9 * 10**18])
def test_a_time_of_denet_that_no_trace_has_room_for(tmp_path: Path, value: int) -> None:
    path = tmp_path / "denet.jsonl"
    path.write_text(f'{{"pid":1,"cmd":["x"],"executable":"/x","t0_ms":{value}}}\n')
    takes(path)


SUMMARIES = {
    "cut off": (lambda line: line[:-300] + b"\xff{{[\n", "line {last}, its summary, is damaged: it is not JSON"),
    "no numbers": (lambda line: re.sub(rb":\d+", b":NaN", line), "summary, is damaged: it is not JSON"),
    "negative": (lambda line: re.sub(rb":\d+", b":-1", line), "damaged: a field has a value that there cannot be"),
    "texts": (lambda line: re.sub(rb":(\d+)(?=[,}])", rb':"\1"', line), "line {last}, its summary, is damaged: a "),
    "others": (lambda line: re.sub(rb'"calls":\d+', b'"calls":7', line), "numbers are not those of the ticks before"),
    "empty": (lambda _: b'{"kind":"summary"}\n', "damaged: the field lost is missing"),
    "left out": (lambda line: line.replace(b'{', b'{"left_out":-1,', 1), "a number that there cannot be"),
    "spelled": (lambda line: line.replace(b'{', b'{ ', 1).replace(b'"calls":', b'"calls":-'), "is damaged: a field"),
    "garbage": (lambda line: line + b"\xff\x00", "line {next} comes after the summary, where nothing may"),
    "a line": (lambda line: line + b"{}\n", "line {next} comes after the summary, where nothing may"),
    "zeros": (lambda line: line + bytes(4096) + b"}", "line {next} comes after the summary, where nothing may"),
}  # fmt: skip


@pytest.mark.parametrize("how", SUMMARIES)
@pytest.mark.parametrize("pieces", [False, True])
def test_a_summary_that_is_damaged_is_named_and_makes_nothing_complete(
    recording: Path, tmp_path: Path, how: str, *, pieces: bool
) -> None:
    sound = recording if pieces else recorded(tmp_path / "rec.jsonl", told())
    assert Totals.of(opened(sound)).as_object()["complete"]
    *lines, last = sound.read_bytes().splitlines(keepends=True)
    damage, says = SUMMARIES[how]
    path = tmp_path / "damaged"
    path.write_bytes(b"".join(lines) + damage(last))
    track = opened(path)
    totals = Totals.of(track)
    assert says.format(last=len(lines) + 1, next=len(lines) + 2) in totals.ending
    assert (totals.as_object()["complete"], track.growing) == (False, False)
    assert totals.ending.isprintable()
    assert totals.last == Totals.of(opened(sound)).last


def test_a_summary_alone_is_no_recording(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "alone"
    path.write_bytes(recording.read_bytes().splitlines(keepends=True)[-1])
    with pytest.raises(UnreadableError, match="it is no recording"):
        opened(path)
