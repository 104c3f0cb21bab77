"""Text from outside on the screens: neither the terminal nor Textual's markup obeys it, wherever it is shown."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.app import App
from textual.widgets import Input
from textual.widgets._tooltip import Tooltip

from denet_tui.model import InFlight, LogEntry, Syscall
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.setup.start import StartScreen
from denet_tui.watch.launch import StartError
from denet_tui.widgets.header import RunHeader
from denet_tui.widgets.inflight import THRESHOLDS
from tests.screens.live.double import Build, Session
from tests.screens.live.driving import live, notices, settle, until
from tests.screens.live.test_output import Runs, ended, with_terminal
from tests.screens.setup.recorded import Recorded, fine
from tests.screens.setup.wizard import setup

SIZE = (120, 40)
MARKUP = "[bold]x[/] [@click=app.quit]y[/] [/z]"
HOSTILE = f"a\x1b]0;t\x07b\x9b2Jc\x7fd\u202ee {MARKUP}"
SHOWN = rf"a\x1b]0;t\x07b\x9b2Jc\x7fd\u202ee {MARKUP}"


def drawn(app: App[object]) -> list[Segment]:
    """All that is sent to the terminal, but for the control sequences between the pieces."""
    return [segment for strip in app.screen._compositor.render_strips() for segment in strip]


def text_of(app: App[object]) -> str:
    text = "".join(segment.text for segment in drawn(app))
    assert text.isprintable(), repr([sign for sign in text if not sign.isprintable()])
    assert not any("@click" in str(segment.style.meta) for segment in drawn(app) if segment.style)
    return text


async def test_a_notification_is_shown_as_it_is() -> None:
    first, _ = with_terminal(ended())
    app = DenetApp(first, again=Runs(first, error=StartError(f"command not found: {HOSTILE}")).again)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot, first)
        await pilot.press("R")
        await until(pilot, lambda: bool(notices(app)))
        await pilot.pause()
        told = " ".join(text_of(app).split())
        assert r"a\x1b]0;t\x07b\x9b2Jc\x7fd\u202ee" in told
        assert "[bold]x[/]" in told


async def test_the_command_under_the_mouse_is_shown_as_it_is() -> None:
    session = Session([Build().step()])
    session.info = session.info._replace(argv=("/bin/sh", HOSTILE))
    async with DenetApp(session).run_test(size=SIZE, tooltips=True) as pilot:
        await settle(pilot, session)
        await pilot.hover(RunHeader)
        tooltip = pilot.app.screen.query_one(Tooltip)
        await until(pilot, lambda: tooltip.display)
        assert SHOWN in str(tooltip.visual)
        text_of(pilot.app)


@pytest.mark.parametrize("tab", "123456")
async def test_hostile_names_on_every_tab(tab: str) -> None:
    snapshot = Build().step(12)
    call = Syscall(0, 9999, HOSTILE)
    counted = {call: next(iter(snapshot.syscalls.values()))}
    processes = tuple(
        each._replace(comm=HOSTILE, cmdline=(f"/bin/{HOSTILE}", HOSTILE), syscalls=counted, recent=counted)
        for each in snapshot.processes
    )
    since = snapshot.time_ns - THRESHOLDS[-1][0] - 1
    session = Session(
        [
            snapshot._replace(
                processes=processes,
                syscalls=counted,
                recent=counted,
                errnos={(call, 2): 5},
                in_flight=(InFlight(processes[0].tgid, processes[0].tgid, call, since),),
            )
        ]
    )
    session.info = session.info._replace(argv=(f"/bin/{HOSTILE}",), user=HOSTILE, notes=(HOSTILE,))
    session.log = [LogEntry(0.0, "info", HOSTILE)]
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press(tab)
        await pilot.pause(0.1)
        assert r"\x1b" in text_of(pilot.app)
        await pilot.press("enter")  # narrowed to it: the name stands in the line of crumbs
        await pilot.pause(0.1)
        text_of(live(pilot.app).app)


async def test_what_is_wrong_with_a_command_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    class Only(App[object]):
        def on_mount(self) -> None:
            self.push_screen(StartScreen(lambda: ()))

    app = Only()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.screen.query_one("#command", Input).value = f"'{HOSTILE}'"
        await pilot.press("enter")
        await until(pilot, lambda: "not found" in str(app.screen.query_one("#wrong").render()))
        assert SHOWN in str(app.screen.query_one("#wrong").render())


async def test_why_it_failed_before_is_shown_as_it_is() -> None:
    async with setup(Recorded(fine()), note=f"✗ {HOSTILE}", who=HOSTILE) as driver:
        assert driver.note == f"✗ {SHOWN}"
        assert r"\x1b]0;t" in text_of(driver.app)


# No new place without it

PACKAGE = Path(__file__).parents[2] / "denet_tui"


def _is_constant(node: ast.expr) -> bool:
    """Whether the text is ours to the last character."""
    if isinstance(node, ast.IfExp):
        return _is_constant(node.body) and _is_constant(node.orelse)
    return isinstance(node, ast.Constant)


def _content(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Content", "Visual")


def markup_in(source: str) -> list[int]:
    """Lines where a text that is not a constant reaches a place of Textual's that reads markup."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            off = any(word.arg == "markup" and ast.unparse(word.value) == "False" for word in node.keywords)
            texts = node.args[:1]
            of_widget = name in ("Static", "Label", "Button") or (name == "update" and "Static" in ast.unparse(node))
            if (of_widget or name == "notify") and not off:
                found += [node.lineno for text in texts if not _is_constant(text) and not _content(text)]
        if isinstance(node, ast.Assign):
            for target in node.targets:
                name = target.attr if isinstance(target, ast.Attribute) else ""
                if name in ("tooltip", "border_title", "border_subtitle") and not (
                    _is_constant(node.value) or _content(node.value)
                ):
                    found.append(node.lineno)
    return sorted(found)


def test_the_look_for_markup_finds_some() -> None:
    assert markup_in("app.notify(text)\nStatic(f'{x}')\nself.query_one('#a', Static).update(x)\nself.tooltip = x") == [
        1, 2, 3, 4
    ]  # fmt: skip
    assert markup_in("app.notify('a')\nStatic(Content(x))\napp.notify(x, markup=False)") == []


def test_no_text_but_our_own_is_read_as_markup() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in markup_in(path.read_text())
    }
    # The tooltip of a key is that of its binding, which is ours.
    assert {each for each in found if not each.startswith("widgets/keys.py")} == set()
