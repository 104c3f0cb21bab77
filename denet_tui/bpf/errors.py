"""What a failure of loading or attaching means, in one line that says what to do next."""

from __future__ import annotations

import errno
import os
from typing import Any


class LoadError(Exception):
    """Loading failed at a stage (`bcc`, `btf`, `tracefs`, `compile`, `load`, `attach`, `loader`).

    `number` is the errno where there was one; `output` is everything that libbcc and LLVM printed.
    """

    def __init__(self, stage: str, text: str, number: int | None = None, output: str = "") -> None:
        super().__init__(text)
        self.stage = stage
        self.text = text
        self.number = number
        self.output = output

    def as_dict(self) -> dict[str, Any]:
        """As it travels from the loader."""
        return {"stage": self.stage, "text": self.text, "errno": self.number}


def explain(stage: str, text: str, output: str) -> str:
    """The text, or a better one where `output` tells more: bcc says `Failed to compile` whatever was refused."""
    if stage in ("compile", "load") and os.strerror(errno.EPERM) in text + output:
        return (
            "the kernel refuses bpf(2) (Operation not permitted), whatever the capabilities are: a seccomp filter "
            "(as containers have) or a security module is in the way; run denet-tui outside of it"
        )
    return text
