"""Names that the kernel bounds: a cut never leaves a part of a character, nor anything that was not there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf import names

WORDS = st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9), min_size=1, max_size=9)


@given(WORDS, st.integers(0, 200))
def test_a_command_line_is_cut_on_a_character(words: list[str], length: int) -> None:
    raw = "".join(word + "\0" for word in words).encode()
    assert names.words(raw) == tuple(words)
    cut = names.words(raw[:length], cut=True)
    assert names.goes_on(cut, words) or length >= len(raw)
    assert "\0".join(cut).encode() in {raw[: max(length - less, 0)] for less in range(4)}


def test_bytes_that_are_no_text_stay() -> None:
    assert names.words(b"a\xff\xc3\0b\xc3\0") == ("a\udcff\udcc3", "b\udcc3")
    assert names.comm(b"x\xc3\0\0") == "x\udcc3"
    assert names.comm("ШШШШШШШШ".encode()[:15] + b"\0") == "Ш" * 7
    assert names.words(b"") == names.words(b"", cut=True) == ()
