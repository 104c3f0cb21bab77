"""A failure of loading or attaching as it is raised, and what errors.py makes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from denet_tui.bpf.facts import Facts


def look() -> str:
    """What to do where the checks may say more."""
    from denet_tui.system import called

    return f"run {called.with_sudo('diag')}"


class LoadError(Exception):
    """Loading failed at a stage (`bcc`, `btf`, `tracefs`, `namespace`, `compile`, `load`, `attach`, `loader`).

    `number` is the errno where there was one; `output` is everything that libbcc and LLVM printed. `failures` are
    those of each attach method where several were tried, `facts` what the process that failed was allowed to do.
    """

    def __init__(self, stage: str, text: str, number: int | None = None, output: str = "", method: str = "") -> None:
        super().__init__(text)
        self.stage = stage
        self.text = text
        self.number = number
        self.output = output
        self.method = method
        self.failures: tuple[LoadError, ...] = ()
        self.facts: Facts | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it travels from the loader."""
        return {"stage": self.stage, "text": self.text, "errno": self.number}

    def to_json(self) -> dict[str, Any]:
        """All of it, as the prober tells it."""
        facts = self.facts.as_dict() if self.facts else None
        failures = [each.to_json() for each in self.failures]
        return {**self.as_dict(), "method": self.method, "output": self.output, "failures": failures, "facts": facts}

    @classmethod
    def of_json(cls, said: dict[str, Any]) -> LoadError:
        """From `to_json`."""
        error = cls(said["stage"], said["text"], said["errno"], said["output"], said["method"])
        error.failures = tuple(map(cls.of_json, said["failures"]))
        error.facts = Facts.of_dict(said["facts"]) if said["facts"] else None
        return error


class Explanation(NamedTuple):
    """Why it failed, what to do, and the check that looks closer."""

    cause: str
    fix: str
    check_id: str = "E2E-001"

    def __str__(self) -> str:
        return f"{self.cause}; {self.fix}" if self.fix else self.cause


def one_line(text: str) -> str:
    """The last line that says something: libbcc and LLVM put the reason there."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"


def split(text: str) -> tuple[str, str]:
    """Cause and fix of a text of ours, which says what to do behind its last semicolon."""
    cause, semicolon, fix = one_line(text).rpartition("; ")
    return (cause, fix) if semicolon else (fix, "")
