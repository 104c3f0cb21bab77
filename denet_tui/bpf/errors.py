"""What a failure of loading or attaching means: symptom, cause and what to do next.

A symptom is a text of libbcc, of the kernel's errno, or of our own loader; the cause is told by looking at the
process (facts.py), since the same text stands for a missing capability, a filter or a limit.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Sequence

from denet_tui.bpf import causes
from denet_tui.bpf.facts import Facts
from denet_tui.bpf.failure import Explanation, LoadError, look, one_line, split

__all__ = ["Explanation", "LoadError", "explain", "one_line"]

_Cause = Callable[[LoadError, Facts], Explanation]

SYMPTOMS: tuple[tuple[str, _Cause], ...] = (
    (causes.OUT_OF_MEMORY, causes.no_memory),
    (r"Too many open files", causes.no_files),
    (r"No module named 'bcc'|cannot import name '?BPF|libbcc\.so\S*:", causes.no_bcc),
    (r"unable to find kernel headers|chdir\(.*/build\)", causes.headers),
    (r"was killed by SIG[A-Z]+", causes.died),
    (r"incomplete definition of type 'struct tracepoint__", causes.tracefs_unreadable),
    (r"(?<!\w)open\(\S*/id\): (?:Permission denied|No such file or directory)", causes.event_file),
    (r"check your kernel for PERF_COUNT_SW_BPF_OUTPUT", causes.perf_denied),
    (r"perf_event_open(?:\(.*\))?: Permission denied", causes.perf_denied),
    (r"perf_event_open(?:\(.*\))?: Operation not permitted", causes.perf_not_permitted),
    (r"Need super-user privileges", causes.perfmon_missing),
    (r"Failed to load (?:BPF )?program\b.*: Permission denied", causes.verifier),
    (causes.NO_READING, causes.locked_down),
    (r"maps (?:stay|are) empty|maps empty", causes.not_counted),
)
"""Texts, and what may be behind each; the first that fits counts."""

SAY_LITTLE: tuple[tuple[str, _Cause], ...] = (
    (r"RLIMIT_MEMLOCK", causes.no_locked_memory),
    (r"Failed to attach BPF", causes.not_attached),
)
"""Texts that count where there is no errno."""

BY_ERRNO: dict[int, _Cause] = {
    errno.EPERM: causes.refused_by_errno,
    errno.EACCES: causes.denied_by_errno,
    errno.ENOENT: causes.missing,
    errno.ENOSYS: causes.no_system_call,
    errno.E2BIG: causes.too_big,
    errno.ENOMEM: causes.no_memory,
    errno.EMFILE: causes.no_files,
    errno.EINVAL: causes.invalid,
    errno.EBUSY: causes.busy,
}
"""For texts that say no more than an errno does."""

_LIBBCC_SPEAKS = ("compile", "load", "attach", "loader", "read")
"""Stages where what libbcc and LLVM printed tells more than our own text; it is that of all methods that were tried."""
_PLAIN = ("bcc", "btf", "namespace", "request", "service", "source", "sudo")
"""Stages whose own text says what to do."""
_CHECKS = {
    "service": "PRIV-005",
    "source": "BCC-003",
    "bcc": "BCC-001",
    "btf": "KERN-009",
    "tracefs": "FS-001",
    "namespace": "NS-001",
}


def explain(error: LoadError, facts: Facts) -> Explanation:
    """The failure by its cause: of each attach method where several were tried, and of one where they have the same."""
    if len(error.failures) > 1 and error.failures[0].stage not in ("bcc", "source"):
        each = {failure.method: _explain(failure, facts) for failure in error.failures}
        first = next(iter(each.values()))
        if len({str(explanation) for explanation in each.values()}) == 1 or first.check_id == "LIM-001":
            return first  # a limit is met by whatever is tried
        told = "; ".join(f"{method}: {explanation.cause}" for method, explanation in each.items())
        return Explanation(told, look(), first.check_id)
    return _explain(error.failures[0] if error.failures else error, facts)


def _explain(error: LoadError, facts: Facts) -> Explanation:
    texts = [error.text, error.output] if error.stage in _LIBBCC_SPEAKS else [error.text]
    if (cause := _symptom(SYMPTOMS, texts)) is not None:
        return cause(error, facts)
    number = error.number or next(filter(None, map(_errno_in, texts)), None)
    if number in BY_ERRNO and error.stage not in _PLAIN:
        return BY_ERRNO[number](error, facts)
    if not number and (cause := _symptom(SAY_LITTLE, texts)) is not None:
        return cause(error, facts)
    told, fix = split(error.text) if error.stage in _PLAIN else (one_line(error.text), look())
    return Explanation(told, fix, _CHECKS.get(error.stage, "E2E-001"))


def _symptom(known: Iterable[tuple[str, _Cause]], texts: Sequence[str]) -> _Cause | None:
    pairs = ((text, row) for text in texts for row in known)
    return next((cause for text, (pattern, cause) in pairs if re.search(pattern, text, re.IGNORECASE)), None)


def _errno_in(text: str) -> int | None:
    """The errno whose words (strerror) a text has, or its number, as libbpf ends a line with it.

    bcc says `Failed to compile` whatever was refused.
    """
    numbers = {int(found) for found in re.findall(r"[:(=] *-(\d{1,3})\)?\.?$", text, re.MULTILINE)}
    return next((number for number in BY_ERRNO if os.strerror(number) in text or number in numbers), None)
