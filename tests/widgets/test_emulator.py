"""What a terminal would show, from what programs really write."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.widgets.emulator import APPLICATION_CURSOR, BRACKETED_PASTE, HISTORY, Emulator


def rows(emulator: Emulator) -> list[str]:
    """The screen as text."""
    return ["".join(segment.text for segment in emulator.row(y)).rstrip() for y in range(emulator.size[1])]


def past(emulator: Emulator) -> list[str]:
    """The scrollback as text."""
    return ["".join(segment.text for segment in line) for line in emulator.history]


def fed(*pieces: bytes, size: tuple[int, int] = (20, 4)) -> Emulator:
    emulator = Emulator(*size)
    for piece in pieces:
        emulator.feed(piece)
    return emulator


def test_lines_scroll_away_and_are_kept_up_to_a_bound() -> None:
    emulator = fed(b"".join(b"line %d\r\n" % number for number in range(HISTORY + 50)))
    assert rows(emulator) == [f"line {HISTORY + number}" for number in (47, 48, 49)] + [""]
    assert len(emulator.history) == HISTORY
    assert past(emulator)[-1] == f"line {HISTORY + 46}"
    assert emulator.scrolled == HISTORY + 47


def test_long_lines_wrap() -> None:
    assert rows(fed(b"a" * 45)) == ["a" * 20, "a" * 20, "a" * 5, ""]


@pytest.mark.parametrize(
    ("code", "colour"),
    [(b"33", 3), (b"93", 11), (b"31", 1), (b"105", 13), (b"90", 8), (b"37", 7)],
)
def test_the_sixteen_colours_are_the_terminals_own(code: bytes, colour: int) -> None:
    style = fed(b"\x1b[" + code + b"mx").row(0)[0].style
    assert style is not None
    found = style.bgcolor if code == b"105" else style.color
    assert found is not None
    assert found.number == colour


@pytest.mark.parametrize("written", [b"\x1b[38;2;1;2;255mx", b"\x1b[38:2::1:2:255mx", b"\x1b[38:2:1:2:255mx"])
def test_true_colour_in_all_its_spellings(written: bytes) -> None:
    emulator = fed(written)
    assert rows(emulator)[0] == "x"
    style = emulator.row(0)[0].style
    assert style is not None
    assert style.color is not None
    assert style.color.name == "#0102ff"


def test_looks_are_kept_apart() -> None:
    segments = fed(b"a\x1b[1mb\x1b[0;4mc\x1b[7md\x1b[mef").row(0)
    assert [segment.text for segment in segments] == ["a", "b", "c", "d", "ef"]
    assert [bool(segment.style and segment.style.bold) for segment in segments] == [False, True, False, False, False]
    assert segments[3].style is not None
    assert segments[3].style.reverse


def test_the_alternate_screen_gives_back_what_was_there() -> None:
    emulator = fed(b"$ vi\r\n", b"\x1b[?1049h\x1b[H\x1b[2Jfull\r\nscreen")
    assert rows(emulator) == ["full", "screen", "", ""]
    emulator.feed(b"\r\n\n\n\n\n\n")
    assert past(emulator) == []
    emulator.feed(b"\x1b[?1049l$ ")
    assert rows(emulator) == ["$ vi", "$", "", ""]


def test_sequences_cut_in_two_are_put_together() -> None:
    whole = b"\x1b[31mred\x1b[0m \xc3\xa4 \x1b]0;a title\x07\x1b[?25lx\x1bP1$r0m\x1b\\end"
    expected = rows(fed(whole))
    assert expected[0] == "red ä xend"
    for cut in range(1, len(whole)):
        assert rows(fed(whole[:cut], whole[cut:])) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"\x1b[>4;2mplain\x1b[?4m", "plain"),  # vim's modifyOtherKeys: no underline
        (b"\x1b(0qqx\x1b(Bq", "──│q"),  # ncurses' line drawing
        (b"-\x1b[4bx", "-----x"),  # REP, which ncurses uses under xterm
        (b"a\x00\x7f\x01b\xc2\x9bc", "abc"),
        (b"\xff\xfe", "��"),
        ("e\u0301 👩\u200d💻 漢".encode(), "é 👩💻 漢"),
        (b"\x1b[1;2;3;4Aok\x1b[9Jok\x1b[999999999999C", "okok"),
        (b"\x1b[?6n\x1b[!p\x1b[ qok", "ok"),
    ],
)
def test_what_programs_send_beyond_pyte(written: bytes, expected: str) -> None:
    emulator = fed(written)
    assert rows(emulator)[0] == expected
    assert not any(segment.style and segment.style.underline for segment in emulator.row(0))


def test_scrolling_by_command() -> None:
    assert rows(fed(b"a\r\nb\r\nc\r\nd\x1b[2S")) == ["c", "d", "", ""]
    assert rows(fed(b"a\r\nb\r\nc\r\nd\x1b[T")) == ["", "a", "b", "c"]


def test_what_is_left_out_is_marked_where_it_was() -> None:
    emulator = fed(b"\x1b[31mhalf a li")
    emulator.feed(b"next\r\n", skipped=5120)
    assert rows(emulator) == ["half a li", " skipped 5 KB", "next", ""]
    assert emulator.skipped == 5120
    assert not emulator.row(2)[0].style


def test_it_answers_who_asks() -> None:
    emulator = fed(b"ab\x1b[6n\x1b[c")
    assert emulator.answers() == b"\x1b[1;3R\x1b[?6c"
    assert emulator.answers() == b""


def test_modes_that_the_keys_depend_on() -> None:
    emulator = fed(b"\x1b[?1h\x1b[?2004h")
    assert emulator.in_mode(APPLICATION_CURSOR)
    assert emulator.in_mode(BRACKETED_PASTE)
    emulator.feed(b"\x1b[?1;2004l")
    assert not emulator.in_mode(APPLICATION_CURSOR)


def test_a_smaller_screen_keeps_the_lines_around_the_cursor() -> None:
    emulator = fed(b"one\r\ntwo\r\nthree")
    emulator.resize(10, 3)
    assert rows(emulator) == ["one", "two", "three"]
    emulator.resize(10, 2)
    assert (past(emulator), rows(emulator)) == (["one"], ["two", "three"])
    emulator.feed(b"!\r\nfour")
    emulator.resize(30, 5)
    assert rows(emulator) == ["three!", "four", "", "", ""]
    assert emulator.cursor == (4, 1)


PIECES = [b"\x1b[", b"\x1b]", b"\x1b[?1049h", b"\x1b[2;3r", b"\x1b[?6h", b"\x1bM", b"\x1b[9L", b"\x1b[4h", b"\x1b#8"]
PIECES += [b"\x1bc", b";1;5m", b"\x0e", "漢".encode() * 9, "\u202e\u2066\u200f".encode()]


@settings(max_examples=150)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(PIECES))))
def test_nothing_gets_through_and_nothing_breaks(pieces: list[bytes]) -> None:
    emulator = Emulator(12, 5)
    for number, piece in enumerate(pieces):
        emulator.feed(piece, skipped=number % 7 == 6)
        emulator.resize(6 + number % 9, 2 + number % 5)
    lines = [emulator.row(y) for y in range(emulator.size[1])] + list(emulator.history)
    for line in lines:
        text = "".join(segment.text for segment in line)
        assert not any(unicodedata.category(char) == "Cc" for char in text), text
        assert not any(unicodedata.bidirectional(char) in ("RLO", "LRI", "RLI", "FSI", "PDI") for char in text), text


def test_no_control_or_bidirectional_sign_of_the_command_is_in_a_cell() -> None:
    obeyed = [*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0)), *"\u061c\u200e\u200f\u2028\u2029\ufeff"]
    obeyed += [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]
    for sign in obeyed:
        emulator = Emulator(20, 2)
        emulator.feed(f"a{sign}b".encode())
        assert not set(obeyed) & set("".join(segment.text for y in (0, 1) for segment in emulator.row(y))), repr(sign)
