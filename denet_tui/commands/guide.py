"""What `denet-tui guide` and `denet-tui explain` say."""

from __future__ import annotations

import difflib
import errno
import os
import sys

from denet_tui.bpf.errors import LoadError, explain
from denet_tui.bpf.facts import gather
from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, State
from denet_tui.report import guide, text
from denet_tui.system import called
from denet_tui.system.visible import complain, write


def show(words: str) -> int:
    """Print the rows of the guide that have these words; the exit status."""
    found = guide.search(words.strip())
    if not found:
        return complain(f"the guide has nothing on {words!r}; `denet-tui guide` prints all of it", 1)
    return _print(found)


def _print(rows: list[guide.Row]) -> int:
    write("\n\n".join(map(guide.page, rows)) + "\n", sys.stdout)
    return 0


def tell(words: str) -> int:
    """Print the page of a check, an errno, an error text, or what the guide has; the exit status."""
    words = words.strip()
    identity = words.upper().partition(".")[0]
    if (check := _check(words, identity)) is not None:
        write(_page(check), sys.stdout)
        return 0
    number = _errno(words)
    said = os.strerror(number) if number else words
    rows = [row for row in guide.search(said) if not _in_a_circle(row, said)]
    told = explain(LoadError("" if number else "load", said, number), gather())
    if not number and told.check_id == "E2E-001":
        if rows:
            return _print(rows)
        diag = called.with_sudo("diag")
        close = difflib.get_close_matches(identity, catalogue.by_id, n=1)
        meant = f": did you mean {close[0]}?" if close else ";"
        return complain(f"nothing is known about {words!r}{meant} `denet-tui guide`, or {diag}, may tell", 1)
    lines = [said, "  if it is what loading says in a session like this one:"]
    lines += [*guide.wrapped(told.cause, "  cause: "), *guide.wrapped(told.fix, "  fix:   ")]
    told_here = "\n".join([*lines, f"  see:   denet-tui explain {told.check_id}"])
    pages = [guide.page(row) for row in rows]
    write("\n\n".join([*pages, told_here] if number else [told_here, *pages]) + "\n", sys.stdout)
    return 0


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
