"""Pictures of the live screen (pytest-textual-snapshot); `pytest --snapshot-update` after a wanted change."""

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from denet_tui.detail import Detail
from denet_tui.model import InFlight, Loss
from denet_tui.screens.live.app import DenetApp
from denet_tui.touched import FailedPath, File, SlowCall, Touched, Use
from tests.screens.live.double import SYSCALLS, Build, Session, empty
from tests.screens.live.driving import ended, running, settle

Compare = Callable[..., bool]

SIZES = {50: (50, 20), 80: (80, 24), 120: (120, 40), 200: (200, 50)}


def flying() -> Session:
    """Threads that have been inside a call for long, and one that has not."""
    build = Build()
    snapshots = [build.step() for _ in range(12)]
    now = snapshots[-1].time_ns
    inside = ((4242, "wait4", 5_200), (4244, "futex", 2_900), (4246, "read", 1_500), (4248, "poll", 3))
    known = {syscall.name: syscall for syscall in SYSCALLS}
    flights = tuple(InFlight(pid, pid, known[name], now - ms * 1_000_000) for pid, name, ms in inside)
    return Session([*snapshots[:-1], snapshots[-1]._replace(in_flight=flights)])


def touching() -> Session:
    """Files, peers and failing paths, and where the time of single calls went."""
    build = Build()
    snapshots = [build.step() for _ in range(12)]
    paths = ("/usr/include/stdio.h", "/usr/include/bits/types.h", "/usr/lib/libc.so.6", "/tmp/cc\x1b.s (deleted)")
    files = [File("file", path) for path in paths]
    files += [File("pipe", "pipe:[88213]"), File("tcp", "tcp 10.0.0.1:41022 → 10.0.0.5:5432")]
    by_process = {
        (4242 + at % 3, file): Use(at % 4, 40 * at + 1, 9 * (at % 2), 81_920 * at, 7 * (at % 2), 5_000_000 * at, at % 2)
        for at, file in enumerate(files)
    }
    folders = ("/usr/lib/gcc/include", "/usr/local/include", "/opt/include")
    failed = {FailedPath("openat", 2, f"{folder}/stdio.h"): 400 for folder in folders}
    slow = tuple(SlowCall("read", 4243, 10**9 // at, snapshots[0].time_ns, paths[at]) for at in (1, 2, 3))
    uses = {file: use for (_, file), use in by_process.items()}
    touched = Touched(uses, by_process, {**failed, FailedPath("openat", 2, "/etc/nothing"): 7}, slow, ("/", "/tmp"))
    last = snapshots[-1]._replace(detail=Detail(touched=touched, turned_away={"files": 12}))
    return Session([*snapshots[:-1], last])


SESSIONS: dict[str, Callable[[], Session]] = {
    "empty": lambda: Session([empty()]),
    "one-sample": lambda: running(ticks=1),
    "running": running,
    "in-flight": flying,
    "errors": touching,
    "files": touching,
    "slowest": touching,
    "finished": ended,
    "killed": lambda: ended(9),
    "lossy": lambda: running(loss=Loss(rows=1234, missed=5)),
}


def after(session: Session, *keys: str, theme: str = "textual-dark") -> Callable[[Pilot[object]], Awaitable[None]]:
    """Wait for the data, then press the keys."""

    async def prepare(pilot: Pilot[object]) -> None:
        pilot.app.theme = theme
        await settle(pilot, session)
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


PICTURES = [
    # Each state once, and among them each size and each theme.
    ("empty", 80, "dark", ""),
    ("one-sample", 50, "none", ""),
    ("running", 120, "dark", ""),
    ("running", 50, "dark", "tab"),
    ("running", 200, "dark", "a"),
    ("paused", 120, "none", "space"),
    ("narrowed", 120, "light", "tab,j,enter"),
    ("lossy", 80, "none", "j"),
    ("finished", 200, "dark", ""),
    ("killed", 80, "dark", ""),
    ("latency", 200, "light", "2"),
    ("errors", 120, "dark", "3"),
    ("in-flight", 80, "none", "4"),
    ("output", 50, "dark", "5"),
    ("log", 80, "dark", "6"),
    ("files", 120, "dark", "7,t,t"),
    ("files", 50, "light", "7"),
    ("slowest", 80, "dark", "2"),
]


@pytest.mark.parametrize(("state", "width", "theme", "keys"), PICTURES)
def test_states(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, state: str, width: int, theme: str, keys: str
) -> None:
    if theme == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    session = SESSIONS.get(state, running)()
    prepare = after(
        session, *filter(None, keys.split(",")), theme="textual-light" if theme == "light" else "textual-dark"
    )
    assert snap_compare(DenetApp(session), terminal_size=SIZES[width], run_before=prepare)


def test_every_size_state_and_theme_is_there() -> None:
    assert {picture[1] for picture in PICTURES} == set(SIZES)
    assert {picture[2] for picture in PICTURES} == {"dark", "light", "none"}
    assert {picture[0] for picture in PICTURES} >= {*SESSIONS, "paused", "narrowed"}


def test_question(snap_compare: Compare) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[80], run_before=after(session, "q"))


def test_help(snap_compare: Compare) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[80], run_before=after(session, "f1"))


def test_too_small(snap_compare: Compare) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=(20, 5), run_before=after(session))
