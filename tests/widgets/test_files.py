"""The Files tab: what is grouped how, what is drawn of it, and names that nobody should have."""

import pytest
from textual.widgets import Static

from denet_tui.model import ProcessInfo
from denet_tui.screens.live.touching import touched_through
from denet_tui.screens.live.view import View, seen_through
from denet_tui.touched import NOT_IN_FILES, FailedPath, File, SlowCall, Touched, Use
from denet_tui.widgets import file_rows
from denet_tui.widgets.file_rows import FileRow
from denet_tui.widgets.files import NOT_WATCHED, FilesView, FileTable
from denet_tui.widgets.narrowing import Errno, Subtree, UsersOf
from tests.screens.live.double import Build
from tests.widgets.shown import Shown

LIBC, HEADER, PIPE, FOLDER = (
    File("file", "/usr/lib/libc.so.6"),
    File("file", "/usr/include/sys/types.h"),
    File("pipe", "pipe:[77]"),
    File("directory", "/usr/lib"),
)
ONE, TWO, LISTENING = (
    File("tcp", "tcp 10.0.0.1:4000 → 10.0.0.5:443"),
    File("tcp", "tcp 10.0.0.1:4001 → 10.0.0.5:443"),
    File("tcp", "tcp 0.0.0.0:80"),
)
GONE = File("file", "/tmp/x (deleted)")
BY_PROCESS = {
    (11, LIBC): Use(1, 2, 0, 4096, 0, 3000),
    (12, LIBC): Use(1, 1, 0, 832, 0, 9000, 1),
    (12, HEADER): Use(1, 1, 0, 500, 0, 100),
    (11, PIPE): Use(0, 0, 3, 0, 41, 5000),
    (12, PIPE): Use(0, 3, 0, 41, 0, 700_000),
    (11, FOLDER): Use(1, 0, 0, 0, 0, 10),
    (11, ONE): Use(0, 1, 1, 10, 20, 50),
    (11, TWO): Use(0, 1, 1, 1, 2, 5),
    (11, LISTENING): Use(1),
    (12, GONE): Use(1, 0, 1, 0, 7, 1),
}


def added(table: dict[tuple[int, File], Use]) -> dict[File, Use]:
    files: dict[File, Use] = {}
    for (_, file), use in table.items():
        files[file] = files.get(file, Use()).plus(use)
    return files


TOUCHED = Touched(added(BY_PROCESS), BY_PROCESS, mounts=("/", "/tmp", "/usr/lib"))
PROCESSES = tuple(
    ProcessInfo(pid, pid, pid - 1, name, (f"/usr/bin/{name}", "-x"), pid) for pid, name in ((11, "make"), (12, "cc1"))
)


def tree(rows: list[FileRow]) -> dict[str, list[str]]:
    """What is right below each, by the whole names of those above."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(rows[row.above].name if row.above >= 0 else "", []).append(row.name)
    return {name: sorted(below) for name, below in found.items()}


def test_groups() -> None:
    assert tree(file_rows.by_folder(TOUCHED.files)) == {
        "": ["/", "pipe/"[:-1], "tcp"],
        "/": ["tmp/", "usr/"],
        "usr/": ["include/sys/", "lib/"],
        "include/sys/": ["types.h"],
        "lib/": [".", "libc.so.6"],
        "tmp/": ["x (deleted)"],
        "pipe": ["pipe:[77]"],
        "tcp": sorted(str(each.path) for each in (ONE, TWO, LISTENING)),
    }
    assert tree(file_rows.by_peer(TOUCHED.files)) == {
        "": ["tcp 0.0.0.0:80", "tcp 10.0.0.5:443"],
        "tcp 0.0.0.0:80": ["tcp 0.0.0.0:80"],
        "tcp 10.0.0.5:443": [ONE.path, TWO.path],
    }
    accepted = {
        File("tcp", f"tcp {own} → 10.0.0.9:{at}"): Use(1)
        for at, own in enumerate(("10.0.0.1:80", "[::1]:81", "10.0.0.1:82"), 5)
    }
    listening = {File("tcp", "tcp 0.0.0.0:80"): Use(), File("tcp", "tcp [::]:81"): Use()}
    assert set(tree(file_rows.by_peer(accepted | listening))[""]) == {
        "tcp 0.0.0.0:80",
        "tcp 0.0.0.0:80 accepted",
        "tcp [::]:81",
        "tcp [::]:81 accepted",
        "tcp 10.0.0.9:7",
    }
    mounts = tree(file_rows.by_mount(TOUCHED.files, TOUCHED.mounts))
    assert mounts["/usr/lib"] == ["/usr/lib", LIBC.path]
    assert (mounts["/"], mounts["/tmp"]) == ([HEADER.path], [GONE.path])
    assert mounts["no file system: pipe"] == ["pipe:[77]"]
    assert tree(file_rows.by_process(BY_PROCESS, PROCESSES))["cc1 12"] == sorted(
        str(each.path) for each in (LIBC, HEADER, PIPE, GONE)
    )


@pytest.mark.parametrize(
    "rows",
    [
        file_rows.by_file(TOUCHED.files),
        file_rows.by_folder(TOUCHED.files),
        file_rows.by_mount(TOUCHED.files, TOUCHED.mounts),
        file_rows.by_process(BY_PROCESS, PROCESSES),
    ],
)
def test_groups_add_up(rows: list[FileRow]) -> None:
    """In every grouping the uppermost rows are all of it, and each group is the sum of what is below it."""
    whole = file_rows.total(TOUCHED.files.values())
    assert file_rows.total(row.use for row in rows if row.above < 0) == whole
    for at, row in enumerate(rows):
        assert row.above < at
        if row.file is None:
            assert row.use == file_rows.total(each.use for each in rows if each.above == at)


async def test_the_tab() -> None:
    app = Shown(FilesView)
    async with app.run_test(size=(120, 24)) as pilot:
        view, table = app.query_one(FilesView), app.query_one(FileTable)
        view.show(None, (), {})
        await pilot.pause()
        assert NOT_WATCHED in app.text
        view.show(Touched(), (), {})
        await pilot.pause()
        assert "no call on a file or a peer yet" in app.text
        view.show(TOUCHED, PROCESSES, {"files": 12})
        await pilot.pause()
        assert "8 files, by file   files: turned away 12 times (no room)   5.4K read, 70 written   without" in app.text
        assert NOT_IN_FILES in f"{view.query_one('#of', Static).content}"
        assert NOT_IN_FILES in FileTable.HELP
        assert table.rows[0].file == PIPE  # most time
        assert "pipe:[77]  make → cc1" in app.text
        table.focus()
        await pilot.press("s")
        assert table.sort_key == "errors"
        table.sort_by("time_ns")
        table.filter("libc")
        await pilot.pause()
        assert [row.file for row in table.rows] == [LIBC]
        assert "4,928 bytes read, 0 written, by cc1 12, make 11" in app.text
        await pilot.press("enter")
        assert app.chosen.pop() == (UsersOf(str(LIBC.path), frozenset({11, 12})),)
        table.filter("%tcp")
        assert {row.file for row in table.rows} == {ONE, TWO, LISTENING}
        table.filter("")
        await pilot.press("t")
        assert [(row.name, row.folded) for row in table.rows] == [("cc1 12", 4), ("make 11", 6)]
        await pilot.press("enter")
        assert app.chosen == [(Subtree(PROCESSES[1]),)]
        await pilot.press("l")
        assert [row.name for row in table.rows][:2] == ["cc1 12", "pipe:[77]"]
        await pilot.press("l", "h", "h")
        assert len(table.rows) == 2
        await pilot.press("t")
        assert [row.name for row in table.rows] == ["pipe", "/", "usr/", "tmp/", "tcp"]
        table.filter("types")
        assert [row.name for row in table.rows] == ["/", "usr/", "include/sys/", "types.h"]
        table.filter("include")
        assert [(row.name, row.folded) for row in table.rows] == [("/", 0), ("usr/", 0), ("include/sys/", 1)]
        table.filter("")
        await pilot.press("t", "t")
        assert {row.name for row in table.rows} == {
            "no file system: pipe",
            "no file system: tcp",
            "/",
            "/tmp",
            "/usr/lib",
        }
        view.show(Touched({LIBC: Use(1)}, {}), (), {})
        await pilot.press("t", "t", "t", "t")
        assert table.grouping == "peer"
        await pilot.pause()
        assert "no call on a socket yet" in app.text


HOSTILE = (
    "/tmp/\x1b]0;owned\x07\x1b[2J",
    "/tmp/a\nb\r\tc",
    "/tmp/\udcff\udcfe.txt",
    "/tmp/\u202egnp.exe",
    "/" + "x" * 4095,
    "/" + "/".join("d" * 2 for _ in range(1365)),
    "/tmp/" + "\u6f22" * 400,
    "[red]/tmp/[/red]",
    "",
)


@pytest.mark.parametrize("width", [40, 100])
async def test_hostile_names_harm_nothing(width: int) -> None:
    files = {File("file", path): Use(1, 1, 1, 1, 1, at + 1, 1) for at, path in enumerate(HOSTILE)}
    files |= {File(kind, path): Use(1) for kind in HOSTILE[:2] for path in (None, "/x")}
    files[File("file", None)] = Use(1)
    table = {(11, file): use for file, use in files.items()}
    evil = PROCESSES[0]._replace(comm="\x1b[31m\n", cmdline=("\x1b[31m\n",))
    app = Shown(FilesView)
    async with app.run_test(size=(width, 24)) as pilot:
        view, shown = app.query_one(FilesView), app.query_one(FileTable)
        view.show(Touched(files, table, mounts=("/tmp",)), (evil,), {HOSTILE[0]: 3})
        assert all(sign.isprintable() for sign in str(app.query_one("#of", Static).render()))
        shown.focus()
        for _ in file_rows.GROUPINGS:
            for _ in range(2 * len(files)):
                shown.action_unfold()
                shown.action_move(1)
            await pilot.pause()
            assert all(sign.isprintable() or sign == "\n" for sign in app.text), shown.grouping
            assert {len(strip) for strip in app.text.split("\n")} <= set(range(width + 1))
            assert str(app.query_one(".about", Static).render()).replace("\n", "").isprintable()
            await pilot.press("y", "t")
        assert str(app.query_one(".about", Static).render()).count("\n") <= 1
    assert app.clipboard.isprintable()


def test_narrowed_views() -> None:
    snapshot = Build(3).step()
    inside, outside = snapshot.processes[1], snapshot.processes[0]
    touched = Touched(
        {LIBC: Use(2, 3)},
        {(inside.pid, LIBC): Use(1, 1), (outside.pid, LIBC): Use(1, 2)},
        {FailedPath("openat", 2, "/a"): 3, FailedPath("openat", 13, "/b"): 1},
        (SlowCall("openat", inside.pid, 5, 0, "/a"), SlowCall("read", outside.pid, 9, 0, None)),
    )
    whole = snapshot._replace(detail=snapshot.detail._replace(touched=touched))
    assert touched_through(View(), whole) is touched
    view = View().narrowed(Subtree(inside))
    seen = touched_through(view, seen_through(view, whole))
    assert seen is not None
    assert (seen.files, [each.pid for each in seen.slowest]) == ({LIBC: Use(1, 1)}, [inside.pid])
    view = View().narrowed(UsersOf("/x\x1b" + "y" * 90, frozenset({inside.pid})))
    assert [each.pid for each in seen_through(view, whole).processes] == [inside.pid]
    assert view.trail[0].label == "users of …" + "y" * 23
    seen = touched_through(View().narrowed(Errno(13)), whole)
    assert seen is not None
    assert [path.path for path in seen.failed] == ["/b"]
