"""Stops watching every process, so that the same loaded programs can watch another command."""

from __future__ import annotations

from collections.abc import Callable

from denet_tui.bpf import maps
from denet_tui.bpf.files import begin_anew
from denet_tui.bpf.handover import Kernel


def stop_watching(kernel: Kernel, read: Callable[[], object]) -> None:
    """Watch no process any more, and throw away what was counted until now.

    `read` is Tracer.read: it empties the counters of the side that was written to, and returns only when no program
    still runs that began before. So the order is safe: without their records (processes) no process can be entered by a
    fork; when that is so, what is still watched (owners, slots, tasks) stays the same while it is taken out.
    """
    names = {"processes", "accounts", "times", "tasks", "owners", "slots"}
    tables = {name: maps.Map(kernel.maps[name]) for name in names & kernel.maps.keys()}
    while _emptied(tables["processes"]):
        read()  # a fork that was under way may have added one more
    for name in ("accounts", "tasks", *({"times"} & tables.keys())):
        _emptied(tables[name])
    read()
    empty = bytes(tables["slots"].value_size)
    for indexes in _keys(tables["owners"]):
        for start in range(0, len(indexes), 4):
            tables["slots"].update(indexes[start : start + 4], empty)
        tables["owners"].delete_many(indexes)
    read()
    read()  # both sides are empty now
    if "slow_bars" in kernel.maps:
        begin_anew(maps.Map(kernel.maps["slow_bars"]))


def _keys(table: maps.Map) -> list[bytes]:
    return [keys for keys, _ in table.read()]


def _emptied(table: maps.Map) -> bool:
    """Delete all rows; whether there were any."""
    found = b"".join(_keys(table))
    table.delete_many(found)
    return bool(found)
