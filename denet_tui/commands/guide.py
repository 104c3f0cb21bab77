"""What `denet-tui guide` and `denet-tui explain` say."""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys

from denet_tui.bpf.errors import LoadError, explain, one_line
from denet_tui.bpf.facts import gather
from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, State
from denet_tui.preferences import settings
from denet_tui.report import guide, text
from denet_tui.system import called, files
from denet_tui.system.visible import complain, plain, shortened, write


def show(words: str) -> int:
    """Print the rows of the guide that have these words; the exit status."""
    words = plain(words).strip()
    found = guide.search(words)
    if not found:
        return complain(f"the guide has nothing on {_echo(words)}; `denet-tui guide` prints all of it", 1)
    return _print(found)


def _print(rows: list[guide.Row]) -> int:
    write("\n\n".join(map(guide.page, rows)) + "\n", sys.stdout)
    return 0


def tell(words: str) -> int:
    """Print the page of a check, an errno, an error text, or what the guide has; the exit status."""
    words = plain(words).strip()
    identity = words.upper().partition(".")[0]
    if (check := _check(words, identity)) is not None:
        write(_page(check), sys.stdout)
        return 0
    if setting := _setting(words):
        write(setting, sys.stdout)
        return 0
    number = _errno(words)
    said = os.strerror(number) if number else words
    rows = [row for row in guide.search(said) if not _in_a_circle(row, said)]
    pages = [guide.page(row) for row in rows]
    told = _told(number, said)
    if not told and not pages:
        diag = called.with_sudo("diag")
        close = difflib.get_close_matches(identity, catalogue.by_id, n=1)
        meant = f": did you mean {close[0]}?" if close else ";"
        return complain(f"nothing is known about {_echo(words)}{meant} `denet-tui guide`, or {diag}, may tell", 1)
    told_here = ["\n".join([shortened(one_line(said), text.WIDTH), *told])] if told else []
    write("\n\n".join([*pages, *told_here] if number else [*told_here, *pages]) + "\n", sys.stdout)
    return 0


def _told(number: int | None, said: str) -> list[str]:
    """What is known of an errno or a text, as loading or writing a file says it; empty where nothing is."""
    number = number or next((each for each in errno.errorcode if os.strerror(each) in said), 0)
    told, whole = explain(_as_raised(number, said), gather()), one_line(said)
    if told.cause != whole:
        cause = told.cause.replace(whole, shortened(whole, text.WIDTH))
        lines = ["  if it is what loading says in a session like this one:", *guide.wrapped(cause, "  cause: ")]
        return [*lines, *guide.wrapped(told.fix, "  fix:   "), f"  see:   denet-tui explain {told.check_id}"]
    helps = files.advice(number)
    return ["  if it is what writing a file says:", *guide.wrapped(helps, "  fix:   ")] if helps else []


def _as_raised(number: int, said: str) -> LoadError:
    """A text as if loading had failed with it: by the step and the attach method that it names."""
    stage = re.search(r"\b(?:load|attach)", said, re.IGNORECASE)
    method = re.search(r"\braw.tracepoint", said, re.IGNORECASE)
    return LoadError(stage[0].casefold() if stage else "", said, number or None, method="raw" if method else "")


def _setting(words: str) -> str:
    """What the settings file has on a setting of this name; empty where there is none."""
    name = re.compile(rf"^#?\[?{re.escape(words)}\]?(?: =|$)", re.MULTILINE)
    if not name.search(settings.EXAMPLE):
        return ""
    from denet_tui.commands import preferences  # it loads all screens

    about = next(part for part in preferences.example().split("\n\n") if name.search(part))
    return f"{about.strip()}\nsee:   denet-tui settings\n"


def _echo(words: str) -> str:
    return repr(shortened(one_line(words), text.WIDTH))


def _check(words: str, identity: str) -> Check | None:
    """The check that looks at this setting, or has this identity."""
    setting = words.lower().removeprefix("kernel.")
    return next((each for each in catalogue.ALL if each.title == setting), catalogue.by_id.get(identity))


def _page(check: Check) -> str:
    """What comes out of it here, and what the guide has on it."""
    about = [guide.page(row) for row in guide.ROWS if check.id in row.do or check.id in row.does]
    return "\n".join([_of_finding(catalogue.run_one(check, Host())), *about]) + "\n"


def _in_a_circle(row: guide.Row, said: str) -> bool:
    """Whether it leads from a text that was said whole to `explain` with the whole text."""
    return row.do.startswith("denet-tui explain ") and said.casefold() not in map(str.casefold, row.words)


def _errno(words: str) -> int | None:
    """The errno of which these words are the name, the number or the text (strerror)."""
    known = errno.errorcode.items()
    return next(
        (key for key, name in known if words.casefold() in (name.casefold(), f"{key}", os.strerror(key).casefold())),
        None,
    )


def wanted(check: Check) -> str:
    """What a check wants to be so, as the first sentence of its function has it."""
    text = (check.run.__doc__ or "").partition("\n")[0].removeprefix(f"{check.id}: ")
    return f"wanted: {text}" if text else f"looks at: {check.title}"


def _of_finding(finding: Finding) -> str:
    lines = guide.wrapped(f"{finding.id} {finding.state}: {finding.title}", "")
    lines += [f"  seen:  {each.source}: {text.one_line(each.value)[:200]}" for each in finding.evidence[:5]]
    lines += guide.wrapped(finding.why or wanted(catalogue.by_id[finding.id]), "  why:   ")
    for fix in finding.fixes:
        lines += [f"  fix:   {fix.title} ({fix.id})"]
        lines += [f"         {line}" for line in (*text.change_lines(fix), fix.advice) if line]
        lines += [f"  undo:  {fix.undo}"] if fix.undo else []
    if finding.state in (State.PASS, State.SKIP) and not finding.fixes:
        setup = called.with_sudo("setup", "--only", finding.id)
        lines += guide.wrapped(f"nothing; where it is not so, {setup} shows what helps before it does it", "  fix:   ")
        lines += [f"  undo:  {called.with_sudo('setup', '--undo', '--only', finding.id)}"]
    return "\n".join(lines) + "\n"
