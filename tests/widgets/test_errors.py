"""The Errors tab: which errors, how many, and whose."""

import errno

import pytest

from denet_tui.model import Counters, ProcessInfo, Snapshot, Syscall
from denet_tui.touched import FailedPath, File, Touched, Use
from denet_tui.widgets.error_paths import ErrorPaths
from denet_tui.widgets.errors import ErrorKey, ErrorSources, ErrorsView, ErrorTable, SourceRow, error_rows, source_rows
from denet_tui.widgets.narrowing import Errno, OneSyscall, Subtree
from tests.screens.live.double import Build
from tests.widgets.shown import Shown

OPENAT, READ, BIND = Syscall(0, 257, "openat"), Syscall(0, 0, "read"), Syscall(1, 361, "ia32:bind")
MISSING, AGAIN, IN_USE = (OPENAT, errno.ENOENT), (READ, errno.EAGAIN), (BIND, errno.EADDRINUSE)
RATES = {MISSING: [0.0, 20.0], AGAIN: [4.0, 0.0]}


def process(number: int, errnos: dict[ErrorKey, int], *, status: int | None = None) -> ProcessInfo:
    return ProcessInfo(
        number, number, 1, "sh", ("/bin/sh", str(number)), number, 9 if status is not None else None, status,
        errnos=errnos,
    )  # fmt: skip


def snapshot(unknown: int = 0) -> Snapshot:
    errnos = {MISSING: 1000, AGAIN: 3, IN_USE: 1}
    failed = sum(errnos.values()) + unknown
    return (
        Build(1, 0)
        .step()
        ._replace(
            syscalls={OPENAT: Counters(4001, 4000, 1000), READ: Counters(6, 6, 3), BIND: Counters(1, 1, 1)},
            errnos=errnos,
            total=Counters(4008, 4007, failed),
            processes=(
                process(11, {MISSING: 200}),
                process(12, {}),
                process(13, {MISSING: 700, AGAIN: 3, IN_USE: 1}, status=256),
            ),
        )
    )


def rates(key: ErrorKey) -> list[float]:
    return RATES.get(key, [])


def test_rows_say_what_failed_and_how_often() -> None:
    rows = {row.key: row for row in error_rows(snapshot(), rates)}
    assert [row.name for row in rows.values()] == ["EADDRINUSE", "ENOENT", "EAGAIN"]
    row = rows[MISSING]
    assert (row.times, row.share, row.rate, row.meaning) == (1000, 0.25, 20.0, "No such file or directory")
    assert (rows[AGAIN].share, rows[AGAIN].rate, rows[IN_USE].rate) == (0.5, 0.0, 0.0)


def test_sources_are_all_of_them() -> None:
    rows = {row.key: row for row in error_rows(snapshot(), rates)}
    found = [(row.process.pid if row.process else None, row.times) for row in source_rows(snapshot(), rows[MISSING])]
    assert found == [(13, 700), (11, 200), (None, 100)]
    assert sum(row.share for row in source_rows(snapshot(), rows[MISSING])) == pytest.approx(1)
    assert [row.times for row in source_rows(snapshot(), rows[IN_USE])] == [1]
    assert source_rows(snapshot(), None) == []


async def test_the_tab() -> None:
    app = Shown(ErrorsView)
    async with app.run_test(size=(110, 24)) as pilot:
        view, table = app.query_one(ErrorsView), app.query_one(ErrorTable)
        view.show(snapshot(), rates)
        await pilot.pause()
        assert "1,004 of 4,007 returned calls failed" in app.text
        line = next(line for line in app.text.split("\n") if "ENOENT" in line and "▸" in line)
        assert line.split()[:5] == ["▸openat", "ENOENT", "1,000", "20", "25.0%"]
        assert line.rstrip().endswith("No such file or directory")
        assert "Processes in which openat failed with ENOENT" in app.text
        assert "sh 13  (exited 1)" in app.text
        assert "ended, and no longer in the list" in app.text
        table.focus()
        await pilot.press("j", "enter")
        assert "Processes in which read failed with EAGAIN" in app.text
        assert [row.times for row in app.query_one(ErrorSources).rows] == [3]
        app.query_one(ErrorSources).focus()
        await pilot.press("enter")
        assert app.chosen == [(OneSyscall(READ), Errno(errno.EAGAIN)), (Subtree(snapshot().processes[2]),)]
        # The cursor stays with its error, and the sources with the cursor.
        view.show(snapshot(5)._replace(errnos={AGAIN: 9, MISSING: 2000}), rates)
        await pilot.pause()
        assert table.current is not None
        assert table.current.key == AGAIN
        assert [row.times for row in app.query_one(ErrorSources).rows] == [3, 6]


async def test_filter_and_order() -> None:
    app = Shown(ErrorsView)
    async with app.run_test(size=(80, 24)) as pilot:
        view, table = app.query_one(ErrorsView), app.query_one(ErrorTable)
        view.show(snapshot(unknown=7), rates)
        await pilot.pause()
        assert "1,011 of 4,007 returned calls failed, 7 with no known errno" in app.text
        for text, names in (("EADDR", ["EADDRINUSE"]), ("%file", ["ENOENT", "EAGAIN"]), ("bind", ["EADDRINUSE"])):
            table.filter(text)
            assert [row.name for row in table.rows] == names
        table.filter("")
        table.sort_by("errno")
        assert [row.name for row in table.rows] == ["EADDRINUSE", "EAGAIN", "ENOENT"]


async def test_without_errors() -> None:
    app = Shown(ErrorsView)
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(ErrorsView).show(snapshot()._replace(errnos={}, total=Counters(9, 8)), rates)
        await pilot.pause()
        assert "0 of 8 returned calls failed" in app.text
        assert "no call has failed" in app.text


HOSTILE = ("/t/\x1b]0;owned\x07", "/t/a\nb", "/t/\udcff", "/" + "x" * 4095, "/t/\u202egnp", "[b]x[/b]")


@pytest.mark.parametrize("width", [60, 80])
async def test_paths_of_the_error(width: int) -> None:
    missed = {"/a/x.h": 600, "/b/x.h": 300, None: 1, **dict.fromkeys(HOSTILE, 2)}
    failed = {FailedPath("openat", errno.ENOENT, path): times for path, times in missed.items()}
    touched = Touched({File("file", "/usr/x.h"): Use(1)}, failed=failed)
    whole = snapshot()
    whole = whole._replace(detail=whole.detail._replace(touched=touched))
    app = Shown(ErrorsView)
    async with app.run_test(size=(width, 40)) as pilot:
        view, paths = app.query_one(ErrorsView), app.query_one(ErrorPaths)
        view.show(snapshot(), rates)
        await pilot.pause()
        assert not paths.display
        view.show(whole, rates, " in all processes")
        await pilot.pause()
        assert "Paths of openat ENOENT in all processes: 8, 87" in app.text
        assert "900 x.h  missed in /a, /b, found in /usr" in app.text
        assert all(sign.isprintable() or sign == "\n" for sign in app.text)
        paths.focus()
        paths.filter("owned")
        await pilot.press("y")
        assert app.clipboard == "times 2  /t/\\x1b]0;owned\\x07"
        paths.filter("x.h")
        await pilot.press("y")
        assert app.clipboard == "times 900  x.h missed in /a, /b, found in /usr"
        paths.filter("")
        app.query_one(ErrorTable).focus()
        await pilot.press("j")
        await pilot.pause()
        assert paths.rows == []
        assert "no path is known of these calls" in app.text


def test_what_tells_a_process_from_its_like_is_kept_for_longest() -> None:
    argv = ("/usr/bin/cc1", "-quiet", "-imultiarch", "x86_64-linux-gnu", "part7.c")
    compiler = process(7, {MISSING: 1}, status=256)._replace(cmdline=argv)
    row = SourceRow(compiler, 1, 1.0)
    assert row.name() == "cc1 -quiet -imultiarch x86_64-linux-gnu part7.c  (exited 1)"
    assert row.name(17) == "cc1 … part7.c"
