"""The header says what matters in any width."""

import pytest

from denet_tui.detail import Detail, Time, Wait
from denet_tui.model import Loss, Syscall
from denet_tui.widgets.header import badge, facts, header_lines
from tests.screens.live.double import INFO, Build

NOW = Build().step(16)


def text(width: int, **more: object) -> list[str]:
    changes = {key: value for key, value in more.items() if key in {"loss", "running", "status"}}
    snapshot = NOW._replace(**changes)
    info = INFO._replace(notes=more.get("notes", ()))
    lines = header_lines(facts(info, snapshot, paused=bool(more.get("paused"))), width)
    return ["".join(piece for piece, _ in line) for line in lines]


def test_everything_at_120() -> None:
    first, second = text(120)
    assert first.startswith(" running  make -j4 all  0:08.0 · pid 4242 · dev ")
    assert first.endswith("  exact ")
    assert second == (" 78,184 calls/s · 838,636 calls · 9 processes, 7 alive · raw tracepoints")


@pytest.mark.parametrize("width", [40, 50, 80, 120, 200])
def test_the_first_line_fills_the_width_and_the_badge_is_never_cut(width: int) -> None:
    line = text(width, loss=Loss(rows=1234), paused=True)[0]
    assert len(line) == width
    assert line.endswith(" paused   1,234 short ")
    assert line.startswith(" running  make")


@pytest.mark.parametrize("width", [40, 50, 80, 120])
def test_details_are_whole_or_left_out(width: int) -> None:
    line = text(width)[1]
    whole = text(300)[1]
    assert len(line) <= width
    assert whole.startswith(line.rstrip())
    assert whole[len(line) : len(line) + 3] in {" · ", ""}


def test_where_the_time_went_is_said_as_well_as_there_is_room() -> None:
    spent = Time(30, 11, 8, 51, {Syscall(0, 61, "wait4"): Wait(31)})
    known = facts(INFO, NOW._replace(detail=Detail(time=spent)))
    told = {width: "".join(piece for piece, _ in header_lines(known, width)[1]) for width in (60, 80, 100, 160)}
    calls, words = " 78,184 calls/s · 838,636 calls", "on CPU 41 %, waits for CPU 8 %, blocked 51 %"
    assert told == {
        60: f"{calls} · 9 processes, 7 alive",
        80: f"{calls} · {words}",
        100: f"{calls} · {words} (for children 31 %)",
        160: f"{calls} · ████▓▒░░···· {words} (for children 31 %) · 9 processes, 7 alive · raw tracepoints",
    }


def test_what_stands_out_has_a_line_and_the_others_are_counted() -> None:
    found = ["connect failed 12 times of 13 with ECONNREFUSED   3 shows more", "one unlink took 2 s", "another"]
    lines = header_lines(facts(INFO, NOW, found=found), 80)
    third = "".join(piece for piece, _ in lines[2])
    assert len(third) <= 80
    assert third.startswith(" ● connect failed 12 times of 13")
    assert third.endswith("and 2 more at the end")
    assert len(header_lines(facts(INFO, NOW), 80)) == 2


def test_however_long_the_last_words_are_it_is_said_where_the_rest_is() -> None:
    said = f"part.c:1:24: note: {'each undeclared identifier ' * 9}  5 shows all"
    line = "".join(piece for piece, _ in header_lines(facts(INFO, NOW, said=said), 80)[1])
    assert len(line) <= 80
    assert line.startswith(" ▌part.c:1:24: note: each undeclared")
    assert line.endswith("…   5 shows all")


def test_badges() -> None:
    assert badge(Loss()) == " exact "
    assert badge(Loss(rows=1200, returns=34)) == " 1,234 short "


def test_what_is_short_and_the_notes_get_a_line_of_their_own() -> None:
    assert len(text(120)) == 2
    third = text(120, loss=Loss(tasks=2), notes=("running as root",))[2]
    assert third == " !  2 threads not watched (task map full) · running as root"


@pytest.mark.parametrize(
    ("status", "words"), [(3 << 8, " exited 3 "), (0, " exited 0 "), (9, " killed by SIGKILL "), (None, " ended ")]
)
def test_the_end(status: int | None, words: str) -> None:
    first, second = text(100, running=False, status=status)
    assert first.startswith(words)
    assert "calls/s" not in second


def test_before_the_first_snapshot_nothing_is_called_exact() -> None:
    lines = ["".join(piece for piece, _ in line) for line in header_lines(facts(INFO, None), 80)]
    assert lines[0].startswith(" starting  make -j4 all")
    assert "exact" not in lines[0]


def test_what_cannot_be_seen_is_not_called_exact() -> None:
    first, *_, last = text(200, loss=Loss(missed=None))
    assert " unproven " in first
    assert "nothing is known to be missing" in last
