"""All that is known of one process, in paragraphs, and the page that shows them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.message import Message

from denet_tui.detail import Exec, Seen, Time
from denet_tui.model import InFlight, ProcessInfo, Snapshot
from denet_tui.spent import most_kernel_in, together, used_in_words
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import how_many, visible
from denet_tui.touched import called
from denet_tui.widgets import formatting
from denet_tui.widgets.narrowing import Narrow, Subtree
from denet_tui.widgets.page import Page, Paragraph
from denet_tui.widgets.process_rows import parents, subtree
from denet_tui.widgets.time_bar import bar, legend

BAR = 30
_LETTERS = 8192
"""Of a command line that are shown."""
_ERRORS, _FILES, _THREADS, _EXECS = 8, 5, 20, 20
_SLACK_NS = 200_000_000
"""What has been there for so much longer than it is watched was there before."""


class AllKnown(NamedTuple):
    """What the Details of a process are drawn from."""

    process: ProcessInfo
    snapshot: Snapshot
    """Of everything, since the start."""
    seen: Seen | None

    @property
    def last(self) -> Exec | None:
        """The program that it is, where its exec was watched."""
        return self.process.programs.last if self.process.programs else None


def details(known: AllKnown) -> list[Paragraph]:
    """All there is to say, the most asked for first."""
    return [paragraph for section in SECTIONS for paragraph in section(known)]


def _head(known: AllKnown) -> Iterator[Paragraph]:
    process, snapshot = known.process, known.snapshot
    began_ns = process.start_ns - (snapshot.time_ns - snapshot.elapsed_ns)
    lived_ns = (snapshot.time_ns if process.end_ns is None else process.end_ns) - process.start_ns
    began = formatting.elapsed(max(began_ns, 0))
    held = (process.exec_ns or 0) - process.start_ns in range(_SLACK_NS)  # until its exec, by which it begins
    if known.seen and known.seen.age_ns > lived_ns + _SLACK_NS and not held:
        state = f"running for {formatting.duration(known.seen.age_ns)}, watched from {began} on"
    elif process.alive:
        state = f"running for {formatting.duration(lived_ns)}, started {began}"
    elif process.lost:
        state = f"started {began}, its end was not seen"
    else:
        state = f"{formatting.ended(process.status)}, ran for {formatting.duration(lived_ns)}, started {began}"
    yield Paragraph(f"{process.comm} {process.pid}: {state}", style="strong", flush=True)
    yield from _command(process)
    if known.last and known.last.file:
        yield Paragraph(known.last.file, "file", whole=True)


def _command(process: ProcessInfo) -> Iterator[Paragraph]:
    words, left = list[str](), _LETTERS
    for word in process.cmdline:
        if left <= 0:
            break
        words.append(shlex.quote(word[:left]))
        left -= len(word) + 1
    more = sum(map(len, process.cmdline)) + len(process.cmdline) - _LETTERS - 1
    if words:
        yield Paragraph(label="command", style="code", words=tuple(words))
    if more > 0 or process.cut:
        yield Paragraph(
            f"… and {how_many(more, 'more letter')}" if more > 0 else "… and more, which is not kept", style="dim"
        )


def _where(known: AllKnown) -> Iterator[Paragraph]:
    seen, last = known.seen, known.last
    cwd = (seen and seen.cwd) or (last and last.cwd)
    began = " when its program began" if cwd and not (seen and seen.cwd) else ""
    yield Paragraph(f"{cwd}{began}" if cwd else "not known", "in", whole=True)
    if known.process.cgroup:
        yield Paragraph(known.process.cgroup, "cgroup", whole=True)
    known_as = seen or last
    if known_as is None:
        yield Paragraph("not known", "user")
    else:
        yield Paragraph(f"{known_as.user} ({known_as.uid})" if known_as.user else f"{known_as.uid}", "user")


def _ancestors(known: AllKnown) -> Iterator[Paragraph]:
    processes = known.snapshot.processes
    above = parents(processes)
    at = next((index for index, each in enumerate(processes) if each.key == known.process.key), -1)
    chain = list[str]()
    first = known.process
    while at >= 0 and (at := above[at]) >= 0:
        first = processes[at]
        chain.append(f"{first.comm} {first.pid}")
    if not chain:
        yield Paragraph(f"{first.ppid}, which is not watched", "parent")
    else:
        yield Paragraph(" < ".join(chain), "parent")


def _times(known: AllKnown) -> Iterator[Paragraph]:
    process = known.process
    if process.time is None:
        yield Paragraph("where its time went is not known", "time", "dim")
        return
    yield from _bar("time", process.time, most_kernel_in(process.time, process.syscalls))
    yield Paragraph(f"of {formatting.duration(process.time.whole_ns)} of all its threads together", style="dim")
    family = subtree(known.snapshot.processes, process.key)
    whole = together(each.time for each in family)
    if len(family) > 1 and whole:
        yield from _bar("below", whole)
        number = how_many(len(family) - 1, "process")
        said = f"of {formatting.duration(whole.whole_ns)} of it and {number} below it"
        yield Paragraph(f"{said}, without those that ended earlier" if known.snapshot.forgotten else said, style="dim")


def _bar(label: str, spent: Time, kernel_in: str = "") -> Iterator[Paragraph]:
    yield Paragraph(bar(spent, BAR), label, "spark", whole=True)
    for line in legend(spent, kernel_in):
        yield Paragraph(line, hang=2)


def _used(known: AllKnown) -> Iterator[Paragraph]:
    process = known.process
    usage, now = process.usage, process.alive
    cpu, memory, faults, disks = used_in_words(usage.accounts)
    for label, words in (
        ("cpu", (f"{usage.cpu_percent:.0f} % of a core now" * now, cpu)),
        ("memory", (f"{formatting.size(usage.rss_bytes)} now" * now, memory, faults)),
        ("disk", (disks,)),
    ):
        yield Paragraph(", ".join(filter(None, words)) or "not known", label)
    total = process.total
    yield Paragraph(f"{total.calls:,}, {total.errors:,} failed; enter shows them", "calls")


def _threads(known: AllKnown) -> Iterator[Paragraph]:
    process, snapshot = known.process, known.snapshot
    if not process.alive:
        return
    inside = {each.tid: each for each in snapshot.in_flight if each.tgid == process.tgid}
    names = known.seen.threads if known.seen and process.pid == process.tgid else {}
    tids = sorted(names.keys() | inside.keys(), key=lambda tid: (tid != process.tgid, tid))
    for label, tid in zip(_labels("threads"), tids[:_THREADS], strict=False):
        name = f"{tid} {names[tid]}" if tid in names else f"{tid}"
        yield Paragraph(f"{name}: {_doing(inside.get(tid), snapshot.time_ns)}", label)
    more = max(process.usage.threads, len(tids)) - len(tids[:_THREADS])
    if more > 0:
        yield Paragraph(f"{more:,} more", "" if tids else "threads", "dim")


def _doing(call: InFlight | None, now_ns: int) -> str:
    if call is None:
        return "in no call"
    about = f" ({visible(call.about)})" if call.about else ""
    than = "more than " if call.earlier else ""
    return f"in {visible(call.syscall.name)}{about} for {than}{formatting.duration(max(now_ns - call.since_ns, 0))}"


def _failures(known: AllKnown) -> Iterator[Paragraph]:
    found = sorted(((count, key) for key, count in known.process.errnos.items() if count), reverse=True)
    for label, (count, (call, number)) in zip(_labels("errors"), found[:_ERRORS], strict=False):
        why = f"{errno_name(number)} {count:,} times" if count > 1 else f"{errno_name(number)} once"
        yield Paragraph(f"{visible(call.name)} {why}: {os.strerror(number).lower()}", label, hang=2)
    if len(found) > _ERRORS:
        yield Paragraph(how_many(len(found) - _ERRORS, "more kind"), style="dim")


def _files(known: AllKnown) -> Iterator[Paragraph]:
    touched = known.snapshot.detail.touched
    if touched is None:
        return
    used = [(use, file) for (pid, file), use in touched.by_process.items() if pid == known.process.pid]
    most = nlargest(_FILES, used, key=lambda each: (each[0].read_bytes + each[0].write_bytes, each[0].time_ns))
    for label, (use, file) in zip(_labels("files"), most, strict=False):
        done = [
            f"{word} {formatting.size(count)}"
            for word, count in (("read", use.read_bytes), ("wrote", use.write_bytes))
            if count
        ]
        done += [f"{use.errors:,} failed"] if use.errors else []
        done += [formatting.duration(use.time_ns)]
        done += [f"blocked {formatting.duration(use.blocked_ns)}"] if use.blocked_ns else []
        yield Paragraph(f"{called(file)} ({', '.join(done)})", label, whole=True)
    if len(used) > _FILES:
        yield Paragraph(f"{len(used) - _FILES:,} more", style="dim")


def _execs(known: AllKnown) -> Iterator[Paragraph]:
    programs, snapshot = known.process.programs, known.snapshot
    if programs is None:
        yield Paragraph("not watched", "execs", "dim")
        return
    ran = programs.ran(known.process.end_ns)
    last = known.last
    for label, (each, ran_ns) in zip(_labels("execs"), ran[-_EXECS:], strict=False):
        at = formatting.elapsed(max(each.at_ns - (snapshot.time_ns - snapshot.elapsed_ns), 0))
        path = ("?" if each.path is None else each.path) + "…" * each.path_cut
        if each.errno:
            yield Paragraph(f"{at} {path}: {errno_name(each.errno)}", label, "warn", whole=True)
            continue
        how = f"ran {formatting.duration(ran_ns)}" if ran_ns is not None else "running"
        if each is last and not known.process.alive:
            how += f", {formatting.ended_short(known.process.status)}"
        yield Paragraph(f"{at} {path} ({how})", label, whole=True)
        words = shlex.join(each.argv) if each.argv else "?"
        cut = " …" if each.cut or len(words) > _LETTERS else ""
        yield Paragraph(f"{words[:_LETTERS]}{cut}", style="code", whole=True)
        yield Paragraph(f"in {each.cwd or '?'}, uid {each.uid}", style="dim", whole=True)
    before = programs.dropped + max(0, len(ran) - _EXECS)
    if before:
        yield Paragraph(f"{before:,} before these", style="dim")


def _labels(first: str) -> Iterator[str]:
    yield first
    while True:
        yield ""


SECTIONS: tuple[Callable[[AllKnown], Iterator[Paragraph]], ...] = (
    _head, _where, _ancestors, _times, _used, _threads, _failures, _files, _execs,
)  # fmt: skip
"""In their order; each tells of one thing."""


class DetailsPage(Page):
    """The Details of the process that the tree's cursor is on."""

    HELP = (
        "All that is known of one process: how it was called and by which process, where its time went, what it "
        "uses, what its threads are in right now, what failed, its busiest files, what it executed. The bar is all "
        "the time of all its threads, each from when it was first seen: █ on a CPU in user space, ▓ on a CPU in the"
        " kernel, ▒ able to run and waiting for a CPU, ░ blocked, with the calls that it was blocked in (in no "
        "counted call: page faults that wait for a disk, stops, what it was in when it was attached), · waiting for"
        " its own children, which are at work then. Below it, the same of the process and all that it started. What"
        " /proc shows (folder, user, names of threads) is of this moment; a recording and an ended process have "
        "them from the last exec. k asks which signal is to be sent to the process. Enter narrows everything to it "
        "and what is below."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "signal", "Signal", id="details.signal", tooltip="Send a signal to this process; asks which"),
        Binding("enter", "narrow", "Narrow", id="details.narrow", tooltip="Show only this process and what is below"),
    ]

    class Signal(Message):
        """The user wants to send a signal to `process`."""

        def __init__(self, process: ProcessInfo) -> None:
            self.process = process
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._process: ProcessInfo | None = None
        self._here = False
        """Whether it runs on this machine, now."""

    def tell(self, known: AllKnown | None, otherwise: str = "", *, here: bool = False) -> None:
        """Draw these from now on; where there is no one process, say what there is."""
        before, could = self._process, self.signals
        self._process, self._here = (known.process if known else None), here
        another = (before and before.key) != (self._process and self._process.key)
        paragraphs: Sequence[Paragraph] = details(known) if known else [Paragraph(otherwise, style="dim", flush=True)]
        self.show(paragraphs, top=another)
        if self.signals != could:
            self.refresh_bindings()

    @property
    def signals(self) -> bool:
        """Whether there is something here that signals can be sent to."""
        return self._here and self._process is not None and self._process.alive

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer only what can be done."""
        return self.signals if action == "signal" else action != "narrow" or self._process is not None

    def action_signal(self) -> None:
        """Ask for a signal."""
        if self._process is not None:
            self.post_message(self.Signal(self._process))

    def action_narrow(self) -> None:
        """Narrow the view to the process."""
        if self._process is not None:
            self.post_message(Narrow(Subtree(self._process)))
