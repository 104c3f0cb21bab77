"""A recording that may still grow: its ticks by their place, whatever wrote it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable
from functools import partial
from sys import intern
from typing import BinaryIO, NamedTuple, NoReturn, TypeVar

from denet_tui.detail import Gap
from denet_tui.model import RunInfo, Snapshot
from denet_tui.record import denet_lines
from denet_tui.record.closing import disagrees
from denet_tui.record.denet_lines import whole
from denet_tui.record.keyframe import INDEX, KEYFRAME, Index, state_of
from denet_tui.record.lines import MOST_LINE, Lines
from denet_tui.record.packed import MissingError
from denet_tui.record.parts import between
from denet_tui.record.read import Line, UnreadableError, advance, first_snapshot, run_info
from denet_tui.system.visible import how_many, visible

_Told = TypeVar("_Told")
_SUMMARY = b'{"kind":"summary"'
_WHEN = re.compile(KEYFRAME + rb',"elapsed_ns":(\d{1,18}),')
_MOST_EMPTY = 1000
_ANOTHER = "another recording begins here"
_ASIDE = INDEX, KEYFRAME
"""Who reads tick by tick has what they hold, and they are long."""


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode


class Tick(NamedTuple):
    """A snapshot, and where the line after it begins."""

    snapshot: Snapshot
    end: int
    resumed: Snapshot | None = None
    """Where parts before it are missing or damaged: the state in which the recording goes on."""


class _DamagedError(UnreadableError):
    """A line that is not what it should be, where it begins and why."""

    def __init__(self, text: str, at: int, why: str) -> None:
        super().__init__(text)
        self.at, self.why = at, why


class Track:
    """Reads from an open file, from any place in it; raises UnreadableError where that is no recording."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Reads the first line, and waits for it where it is a stream's."""
        self._lines, self._name = Lines(file), visible(name)
        self.begin = 0
        """Where the lines of the first tick begin."""
        self.complete = False
        """Whether the whole summary has been met: nothing comes after it."""
        self._lacking = 0
        """Ticks that it has not got at its end."""
        self._summary: tuple[int, Line] | None = None
        """Where it begins, and what it says, where that has not been compared yet."""
        self._wrong = ""
        """Of the summary, or of what comes after it: which line, and what."""
        self._is_ours = False
        """Whether denet-tui has written it, not denet."""
        self.info = self._first()
        self._start = self._first_state()

    @property
    def streams(self) -> bool:
        """Whether it is a stream that goes on."""
        return self._lines.streams

    @property
    def news(self) -> threading.Event:
        """Set when a stream has brought something, or has ended."""
        return self._lines.news

    def astray(self, told: Iterable[Gap]) -> list[str]:
        """A line for each file among the parts that is passed over, but for those that are told as a gap."""
        words = [f"{visible(name)} is left out: it {why}" for name, why in self._lines.astray.items()]
        return [each for each in words if not any(each.split(" ")[0] in gap.why for gap in told)]

    def size(self) -> int:
        """Bytes that there are so far; of a packed file, about how many there will be."""
        return self._lines.size()

    def tick(self, before: Snapshot, at: int) -> Tick | None:
        """The tick that begins there, after the snapshot before it; None if it is not there (yet).

        What is left of a damaged part is passed over where another one follows.
        """
        damage, place = "", at
        while True:
            try:
                return self._tick(before, place, damage)
            except _DamagedError as problem:
                following = self._told(problem.at, partial(self._lines.next_part, problem.at))
                if following is None:
                    raise
                part, number = self._lines.where(problem.at)
                damage = damage or f"{visible(part)} is damaged from line {number:,} on ({problem.why})"
                place = following

    def _tick(self, before: Snapshot, at: int, damage: str) -> Tick | None:
        """With `damage`, that of a later part, which begins there."""
        events: list[Line] = []
        resumed: Snapshot | None = None
        place = at
        while (found := self._line(place)) is not None:
            line, place, after = found
            what = denet_lines.kind(line)
            if what in ("tree", "sample"):
                try:
                    return Tick(advance(self.info, resumed or before, events, line), after, resumed)
                except UnreadableError as problem:
                    self._refuse(place, str(problem))
            if what is None:
                self._refuse(place, "it is no line of a recording")
            if what == "metadata":
                if not self._goes_on(line):
                    self._refuse(place, _ANOTHER)
                if found_state := self._resumed(place, after, resumed or before, damage):
                    resumed, events = found_state, []
            events.append({intern(name): value for name, value in line.items()})  # of a million: json shares no names
            place = after
        self._look_for_another(place)
        self._compare(resumed or before)
        return None

    def index(self, stop: Callable[[], bool]) -> Index | None:
        """All ticks of a file up to its last keyframe; None of one without, and of a stream, which is read on from.

        What is packed is unpacked first, unless `stop` says that nothing is wanted any more.
        """
        try:
            if self._lines.is_stream or not self._lines.take_all_in(stop):
                return None
            return Index.of(self._lines, self.begin)
        except OSError as problem:
            raise UnreadableError(f"{self._name}: {problem.strerror}") from None
        except MissingError as problem:
            raise UnreadableError(f"{self._name}: {problem}") from None
        except ValueError:  # it cannot be unpacked to its end: what reads on comes to where that is
            return None

    def keyframe(self, at: int) -> Snapshot | None:
        """The snapshot that a keyframe's line has; None if it is not whole, or damaged."""
        try:
            return state_of(self.info, self._lines.line(at))
        except OSError as problem:
            raise UnreadableError(f"{self._name}: {problem.strerror}") from None
        except ValueError:
            return None

    def _first(self) -> RunInfo:
        while True:
            going_on = self.streams
            if (found := self._line(0)) is not None:
                break
            if going_on:
                self.news.wait()
                self.news.clear()
            else:
                why = "it is empty" if not self.size() else "it is no recording, or was cut off in its first line"
                raise UnreadableError(f"{self._name}: {self._lines.failure or why}")
        line, _, after = found
        try:
            info = run_info(line)
        except UnreadableError as problem:
            raise UnreadableError(f"{self._name}: {problem}") from None
        self.begin = after if denet_lines.kind(line) == "metadata" else 0
        self._is_later, self._is_ours = _is_later(line), "denet_tui" in line
        return info

    def _goes_on(self, line: Line) -> bool:
        """Whether a first line is that of a later part of the same run."""
        try:
            return _is_later(line) and run_info(line).start_ns == self.info.start_ns
        except UnreadableError:
            return False

    def _resumed(self, at: int, after: int, before: Snapshot, damage: str) -> Snapshot | None:
        """The state with which a part begins there, where ticks before it are missing; None if none are."""
        begins = _WHEN.match(raw := self._raw(after))
        if begins and int(begins[1]) == before.elapsed_ns:
            return None
        if not begins:
            return self._refuse(at, "its keyframe is missing") if damage else None
        state = self._told(after, lambda: state_of(self.info, raw))
        part, last = self._lines.where(at)[0], self._lines.where(at - 1)[0]
        why = damage or (visible(between(last, part, self._lines.astray)) if part else "a part is missing")
        detail = before.detail.with_gap(Gap(why, before.elapsed_ns, state.elapsed_ns))
        return state._replace(detail=state.detail._replace(gaps=detail.gaps, left_out=before.detail.left_out))

    def _first_state(self) -> Snapshot:
        """Of a part that is not the first: its keyframe."""
        if not self._is_later:
            return first_snapshot(self.info)
        while not (raw := self._raw(self.begin)).endswith(b"\n") and self.streams:
            self.news.wait()
            self.news.clear()
        state = self._told(self.begin, lambda: state_of(self.info, raw))
        self.begin += len(raw)
        return state

    def _raw(self, at: int) -> bytes:
        return self._told(at, lambda: self._lines.line(at))

    def _told(self, at: int, ask: Callable[[], _Told]) -> _Told:
        """What the lines say; raises UnreadableError, which names the line that begins there."""
        try:
            return ask()
        except OSError as problem:
            raise UnreadableError(f"{self._name}: {problem.strerror}") from None
        except MissingError as problem:
            raise UnreadableError(f"{self._name}: {problem}") from None
        except ValueError as problem:
            self._refuse(at, str(problem))

    def _line(self, at: int) -> tuple[Line, int, int] | None:
        """The first line from there on that is not aside, where it begins and ends; None without a whole one."""
        empty = 0
        while True:
            raw = self._raw(at)
            if raw.startswith(_SUMMARY):
                self._end(at, raw)
                return None
            if not raw.endswith(b"\n"):
                if self._lines.next_part(at):
                    if self._raw(at).endswith(b"\n"):
                        continue  # it was being written
                    self._refuse(at, "it is cut off")
                if len(raw) > MOST_LINE:
                    self._refuse(at, f"it is longer than {MOST_LINE >> 20} MiB")
                return None
            line = self._parsed(at, raw)
            if line and denet_lines.kind(line) == "summary":
                self._end(at, raw)
                return None
            if line is not None:
                return line, at, at + len(raw)
            at += len(raw)
            empty += raw == b"\n"
            if empty > _MOST_EMPTY:
                self._refuse(at, "there are too many empty lines before it")

    def _parsed(self, at: int, raw: bytes) -> Line | None:
        """None for an empty line, and for what the ticks have, however another program has spelled it."""
        if raw == b"\n" or raw.startswith(_ASIDE):
            return None
        try:
            line = _decode(raw.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            self._refuse(at, "it is not JSON")
        if not isinstance(line, dict):
            self._refuse(at, "it is no JSON object")
        what = denet_lines.kind(line)
        aside = what in ("index", "keyframe") or (what, line.get("of")) == ("more", "summary")
        return None if aside else line

    def _end(self, at: int, raw: bytes) -> None:
        """The summary is there, or what there is of it: nothing may come after it."""
        if not raw.endswith(b"\n"):  # one that is too long is not looked through
            self.complete = len(raw) > MOST_LINE and self._told(at, self._lines.ends_with_a_line)
            return
        after = at + len(raw)
        more = self._raw(after).rstrip(b"\0")  # which a file system leaves of a crash
        try:
            line = self._parsed(after, more) if more.startswith(b"{") and more.endswith(b"\n") else None
        except UnreadableError:
            line = None
        if line and denet_lines.kind(line) == "metadata":
            self._refuse(after, _ANOTHER)
        try:
            summary = self._parsed(at, raw) or {}
            self._lacking = self._told(at, lambda: whole(summary.get("left_out", 0)))
        except _DamagedError as problem:
            self._wrong = f"{self._place(at)}, its summary, is damaged: {problem.why}"
            return
        self._wrong = f"{self._place(after)} comes after the summary, where nothing may" if more else ""
        self.complete, self._summary = not more, (at, summary) if self._is_ours else None

    def _compare(self, last: Snapshot) -> None:
        """The summary with the tick before it; where ticks are missing, that has been told."""
        if self._summary and not self._lacking and not last.detail.lacks:
            at, summary = self._summary
            if why := disagrees(summary, last):
                self.complete, self._wrong = False, f"{self._place(at)}, its summary, is damaged: {why}"
        self._summary = None

    def _place(self, at: int) -> str:
        part, number = self._lines.where(at)
        return f"{visible(part)}, line {number:,}" if part else f"line {number:,}"

    def _look_for_another(self, at: int) -> None:
        if self._told(0, partial(self._lines.replaced, at)):
            raise UnreadableError(f"{self._name}: it was written anew meanwhile, this is its end: open it again")

    def _refuse(self, at: int, why: str) -> NoReturn:
        self._look_for_another(at)
        raise _DamagedError(f"{self._name}, {self._place(at)}: {why}", at, why)

    @property
    def growing(self) -> bool:
        """Whether more may come."""
        return not self.complete and not self._wrong and (self.streams or not self._lines.is_stream)

    def ending(self) -> str:
        """What is to be said where nothing comes for now: whether that is the end of the run; empty where it is."""
        if self._wrong:
            return self._wrong
        if self.complete and self._lacking:
            return f"the recording lacks its last {how_many(self._lacking, 'tick')}: its reader was too slow for them"
        if self.complete or self.streams:
            return ""
        if self._lines.is_stream:
            return self._lines.failure or "the stream ended before the run did"
        return "no end: growing, or cut off"

    def start(self) -> Snapshot:
        """What the first tick goes on from."""
        return self._start


def _is_later(first: Line) -> bool:
    return isinstance(ours := first.get("denet_tui"), dict) and ours.get("part", 1) != 1
