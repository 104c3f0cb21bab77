"""Lists of syscalls as users write them: names and %classes."""

from __future__ import annotations

from collections.abc import Iterable

from denet_tui.bpf.names import numbers
from denet_tui.syscalls import CLASSES, MEMBERS


def expand(words: Iterable[str]) -> set[str]:
    """Names of syscalls from a list of names and %classes; raises ValueError with what to write instead."""
    found: set[str] = set()
    for word in words:
        if word.startswith("%"):
            kind = word[1:]
            if kind not in MEMBERS:
                raise ValueError(f"unknown class {word}; there are {', '.join('%' + each for each in CLASSES)}")
            found |= {name for name in MEMBERS[kind] if any(name in numbers(abi) for abi in range(3))}
        elif any(word in numbers(abi) for abi in range(3)):
            found.add(word)
        else:
            import difflib

            near = difflib.get_close_matches(word, numbers(), n=1)
            raise ValueError(f"unknown syscall {word!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return found
