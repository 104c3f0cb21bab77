"""The slowest calls: what is drawn of each, and of which calls."""

from denet_tui.touched import SlowCall, Touched
from denet_tui.widgets.narrowing import Subtree
from denet_tui.widgets.slowest import SlowestTable, slow_rows
from tests.screens.live.double import START_NS, Build
from tests.widgets.shown import Shown

MS = 1_000_000
CALLS = (
    SlowCall("fsync", 4243, 900 * MS, START_NS + 250 * MS, "/var/lib/x.db"),
    SlowCall("read", 4242, 20 * MS, START_NS - 5, None),
    SlowCall("read", 99, 1400, START_NS + 1_000 * MS, "/\x1b[2J\n\udcff" + "d/" * 2000 + "end"),
)


async def test_the_list() -> None:
    snapshot = Build(3).step(4)
    touched = Touched(slowest=CALLS)
    assert slow_rows(None, snapshot, None) == []
    assert [row.call.pid for row in slow_rows(touched, snapshot, {"read"})] == [4242, 99]
    app = Shown(SlowestTable)
    async with app.run_test(size=(80, 12)) as pilot:
        table = app.query_one(SlowestTable)
        table.show(slow_rows(touched, snapshot, None))
        await pilot.pause()
        lines = [line.split() for line in app.text.split("\n")]
        assert lines[1] == ["▸", "900ms", "0:00.2", "fsync", "4243", snapshot.processes[1].comm, "/var/lib/x.db"]
        assert lines[2] == ["20ms", "-", "read", "4242", "make", "-"]
        assert lines[3][:5] == ["1.4µs", "0:01.0", "read", "99", "-"]
        assert lines[3][5].startswith("…")
        assert lines[3][5].endswith("d/end")
        assert all(sign.isprintable() or sign == "\n" for sign in app.text)
        table.focus()
        await pilot.press("enter")
        assert app.chosen == [(Subtree(snapshot.processes[1]),)]
        for text, pids in (("x.db", [4243]), ("%file", [4243, 4242, 99]), ("make", [4242]), ("END", [99])):
            table.filter(text)
            assert [row.call.pid for row in table.rows] == pids
        table.filter("")
        table.show(slow_rows(Touched(slowest=CALLS[2:]), snapshot._replace(processes=()), None))
        await pilot.press("enter")
        assert len(app.chosen) == 1
