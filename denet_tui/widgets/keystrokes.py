"""Keys as a terminal sends them to a program (xterm's, as terminfo has them under xterm-256color)."""

from __future__ import annotations

_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_NUMBERED = {"insert": 2, "delete": 3, "pageup": 5, "pagedown": 6}
_NUMBERED |= dict(zip((f"f{number}" for number in range(5, 13)), (15, 17, 18, 19, 20, 21, 23, 24), strict=True))
_LETTERED = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_PLAIN = {"enter": "\r", "tab": "\t", "escape": "\x1b", "backspace": "\x7f", "shift+tab": "\x1b[Z", "space": " "}
_CONTROL = {"at": 0, "left_square_bracket": 27, "backslash": 28, "right_square_bracket": 29, "circumflex_accent": 30,
            "underscore": 31, "space": 0, "h": 8, "slash": 31}  # fmt: skip
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}


def bytes_of(key: str, character: str | None, *, application: bool = False) -> bytes:
    """What a key (Textual's name of it, and its character) sends; empty for keys that send nothing.

    `application`: the program has asked for application cursor keys (DECCKM).
    """
    if key in _PLAIN:
        return _PLAIN[key].encode()
    *modifiers, name = key.split("+") if key != "+" else [key]
    special = _special(name, 1 + sum(_MODIFIERS.get(each, 0) for each in modifiers), application=application)
    if special:
        return special.encode()
    if "ctrl" in modifiers:
        text = _control(name)
    elif character and character.isprintable():
        text = character
    else:
        text = _PLAIN.get(name, name if len(name) == 1 and modifiers else "")
    return f"\x1b{text}".encode() if text and "alt" in modifiers else text.encode()


def _special(name: str, modifier: int, *, application: bool) -> str:
    if name in _CURSOR and modifier == 1:
        return f"\x1b{'O' if application else '['}{_CURSOR[name]}"
    if name in _LETTERED and modifier == 1:
        return f"\x1bO{_LETTERED[name]}"
    if name in _CURSOR or name in _LETTERED:
        return f"\x1b[1;{modifier}{_CURSOR.get(name) or _LETTERED[name]}"
    if name in _NUMBERED:
        return f"\x1b[{_NUMBERED[name]}{f';{modifier}' if modifier > 1 else ''}~"
    return ""


def _control(name: str) -> str:
    if name in _CONTROL:
        return chr(_CONTROL[name])
    return chr(ord(name) & 31) if len(name) == 1 and name.isascii() and name.isalpha() else ""


def mouse_bytes(code: int, column: int, row: int, *, released: bool = False, sgr: bool = False) -> bytes:
    """What the mouse sends in cell (`column`, `row`), both from 0 (xterm's ctlseqs, "Mouse Tracking").

    `code`: 0 left, 1 middle, 2 right, 3 none; +4 shift, +8 alt, +16 ctrl, +32 moved, +64 the wheel. Without `sgr` (mode
    1006) nothing is sent for cells beyond 223, which one byte cannot say.
    """
    if sgr:
        return f"\x1b[<{code};{column + 1};{row + 1}{'m' if released else 'M'}".encode()
    if max(column, row) > 222:
        return b""
    return b"\x1b[M" + bytes((32 + (code | 3 if released else code), 33 + column, 33 + row))
