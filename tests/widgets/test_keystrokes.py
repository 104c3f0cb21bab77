"""Keys as terminfo has them under xterm-256color."""

import pytest

from denet_tui.widgets.keystrokes import bytes_of, mouse_bytes


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", b"a"),
        ("A", "A", b"A"),
        ("ä", "ä", "ä".encode()),
        ("plus", "+", b"+"),
        ("space", " ", b" "),
        ("enter", "\r", b"\r"),
        ("tab", "\t", b"\t"),
        ("shift+tab", None, b"\x1b[Z"),
        ("escape", "\x1b", b"\x1b"),
        ("backspace", "\x7f", b"\x7f"),
        ("ctrl+c", "\x03", b"\x03"),
        ("ctrl+d", "\x04", b"\x04"),
        ("ctrl+z", "\x1a", b"\x1a"),
        ("ctrl+backslash", "\x1c", b"\x1c"),
        ("ctrl+at", "\x00", b"\x00"),
        ("up", None, b"\x1b[A"),
        ("home", None, b"\x1b[H"),
        ("ctrl+left", None, b"\x1b[1;5D"),
        ("shift+f3", None, b"\x1b[1;2R"),
        ("f1", None, b"\x1bOP"),
        ("f5", None, b"\x1b[15~"),
        ("f12", None, b"\x1b[24~"),
        ("delete", None, b"\x1b[3~"),
        ("ctrl+pageup", None, b"\x1b[5;5~"),
        ("alt+b", None, b"\x1bb"),
        ("alt+enter", None, b"\x1b\r"),
        ("f20", None, b""),
    ],
)
def test_what_a_key_sends(key: str, character: str | None, sent: bytes) -> None:
    assert bytes_of(key, character) == sent


def test_application_cursor_keys() -> None:
    assert bytes_of("up", None, application=True) == b"\x1bOA"
    assert bytes_of("ctrl+up", None, application=True) == b"\x1b[1;5A"


def test_what_the_mouse_sends() -> None:
    assert mouse_bytes(0, 0, 9) == b"\x1b[M !*"
    assert mouse_bytes(2, 222, 222, released=True) == b"\x1b[M#\xff\xff"
    assert mouse_bytes(0, 223, 0) == b""
    assert mouse_bytes(64, 300, 0, sgr=True) == b"\x1b[<64;301;1M"
    assert mouse_bytes(0, 1, 2, released=True, sgr=True) == b"\x1b[<0;2;3m"
