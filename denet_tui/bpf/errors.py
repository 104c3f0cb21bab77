"""What a failure of loading or attaching means, in one line that says what to do next."""

from __future__ import annotations

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
