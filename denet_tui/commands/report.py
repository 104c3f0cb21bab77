"""What report does: a recording in a few tables, what stood out first."""

from __future__ import annotations

import csv
import io
import sys
from typing import Literal, NoReturn

from denet_tui.commands.recordings import tracks
from denet_tui.commands.run import exit_with, log_to
from denet_tui.commands.targets import WatchRequest
from denet_tui.findings.rules import sentences
from denet_tui.model import Counters
from denet_tui.record import about
from denet_tui.record.summary import process_item
from denet_tui.record.table import duration, exactness, render_table
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import as_json, how_many, markdown, visible, write
from denet_tui.touched import Use, called

Form = Literal["text", "json", "markdown", "csv"]
_MOST_MOMENTS, _MOST_ROWS = 10, 20
_OF_PATHS = ("path", "kind", "errno", "failures", *(f"path_{name}" for name in Use._fields))
"""Columns of --csv: sums over those before them stay what they are."""


def report(path: str, form: Form, request: WatchRequest) -> NoReturn:
    """Write it to standard output; exits with 0, or 125 where it is no recording."""
    exit_with(lambda _: _report(path, form, request))


def _report(path: str, form: Form, request: WatchRequest) -> int:
    (track,) = tracks([path])
    log_to(request, on_screen=False)
    forms = {"text": _text, "markdown": _markdown, "csv": _csv}
    write(_json(track) if form == "json" else forms[form](Totals.of(track)), sys.stdout)
    return 0


def _json(track: Track) -> str:
    processes = list[str]()
    totals = Totals.of(track, lambda each: processes.append(process_item(track.info, each)))
    begin, items = as_json(totals.as_object(), lines=True).removesuffix("\n}"), ",\n    ".join(processes)
    return f'{begin},\n  "processes": [\n    {items}\n  ]\n}}\n'


def _text(totals: Totals) -> str:
    lines = [
        *_stood_out(totals),
        "",
        *render_table(totals.info, totals.last, 100, ending=totals.ending).splitlines(),
        "",
    ]
    lines += [f"{'program':<20} {'processes':>9} {'calls':>12} {'errors':>9} {'time':>8}"]
    lines += [
        f"{visible(name):<20} {processes:>9,} {total.calls:>12,} {total.errors:>9,} {duration(total.time_ns):>8}"
        for name, processes, total in _programs(totals)
    ]
    return "\n".join(lines) + "\n"


def _stood_out(totals: Totals) -> list[str]:
    """Of the whole, and on the way."""
    found = [f"{at_s:9.1f} s  {visible(text)}" for at_s, text in totals.moments[:_MOST_MOMENTS]]
    more = len(totals.moments) - len(found)
    found += [f"{'':9}    {more:,} more: denet-tui view shows them"] if more > 0 else []
    return [*filter(None, [totals.earlier, totals.ending]), *totals.astray, *sentences(totals.last), *found]


def _programs(totals: Totals) -> list[tuple[str, int, Counters]]:
    """The most frequent callers first."""
    rows = [(name, program.processes, program.total) for name, program in totals.programs.items()]
    return sorted(rows, key=lambda row: (-row[2].calls, row[0]))[:_MOST_ROWS]


def _markdown(totals: Totals) -> str:
    last = totals.last
    state = exactness(last, totals.ending)
    lines = [f"### {markdown(' '.join(totals.info.argv))}", "", *(f"- {markdown(each)}" for each in _stood_out(totals))]
    lines += [f"- {how_many(last.total.calls, 'call')} in {last.elapsed_ns / 1e9:.3f} s, {state}", ""]
    lines += ["| syscall | calls | errors | time | longest |", "|---|--:|--:|--:|--:|"]
    rows = sorted(last.syscalls.items(), key=lambda row: (-row[1].calls, row[0]))
    for call, each in rows[:_MOST_ROWS]:
        times = f"{duration(each.time_ns)} | {duration(each.max_ns)}"
        lines.append(f"| {markdown(call.name)} | {each.calls:,} | {each.errors:,} | {times} |")
    lines += ["", "| program | processes | calls | errors | time |", "|---|--:|--:|--:|--:|"]
    lines += [
        f"| {markdown(name)} | {processes:,} | {total.calls:,} | {total.errors:,} | {duration(total.time_ns)} |"
        for name, processes, total in _programs(totals)
    ]
    return "\n".join([*lines, *_files_in_markdown(totals)]) + "\n"


def _files_in_markdown(totals: Totals) -> list[str]:
    touched, lines = totals.last.detail.touched, list[str]()
    if touched and touched.files:
        lines += [
            "",
            "| file or peer | reads | bytes read | writes | bytes written | time |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        for file, use in about.busiest_first(touched)[:_MOST_ROWS]:
            numbers = f"{use.reads:,} | {use.read_bytes:,} | {use.writes:,} | {use.write_bytes:,}"
            lines.append(f"| {markdown(called(file))} | {numbers} | {duration(use.time_ns)} |")
    if touched and touched.failed:
        lines += ["", "| failing path | syscall | errno | times |", "|---|---|---|--:|"]
        for path, count in about.most_failing(touched)[:_MOST_ROWS]:
            name = markdown(about.shown(path.path))
            lines.append(f"| {name} | {markdown(path.syscall)} | {errno_name(path.errno)} | {count:,} |")
    return lines


def _csv(totals: Totals) -> str:
    """A row per program and syscall, and one per file and failing path, in columns of their own; times in ns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["program", "syscall", "calls", "returns", "errors", "unreturned", "time_ns", "max_ns"]
    touched = totals.last.detail.touched
    writer.writerow([*names, *([] if touched is None else _OF_PATHS)])
    for name, program in sorted(totals.programs.items()):
        for call, each in sorted(program.syscalls.items()):
            numbers = each.calls, each.returns, each.errors, each.unreturned, each.time_ns, each.max_ns
            writer.writerow([_no_formula(name), _no_formula(call.name), *numbers])
    if touched is not None:
        aside, no_use = [""] * (len(names) - 2), [""] * len(Use._fields)
        for file, use in about.busiest_first(touched):
            writer.writerow(["", "", *aside, *map(_no_formula, (about.shown(file.path), file.kind)), "", "", *use])
        for path, count in about.most_failing(touched):
            by, shown = map(_no_formula, (path.syscall, about.shown(path.path)))
            writer.writerow(["", by, *aside, shown, "", errno_name(path.errno), count, *no_use])
    return out.getvalue()


def _no_formula(text: str) -> str:
    """With a `'` before it where a spreadsheet would take it for a formula, or that sign for one of these."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@", "'")) else shown
