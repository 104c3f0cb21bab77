"""The live screen over snapshots that were made before: `python -m tests.bench.screen PROCESSES SYSCALLS [PROFILE]`.

Every process makes other calls at every tick, and every thread is inside one. The snapshots come round again
and again, each with the time of its tick. With PROFILE, what the screen's thread did goes into that file.
"""

from __future__ import annotations

import cProfile
import gc
import sys
import threading
import time
from collections.abc import Callable
from types import MappingProxyType

from denet_tui.detail import Detail, Usage
from denet_tui.model import NOTHING, Counters, InFlight, ProcessInfo, Snapshot, Syscall
from denet_tui.screens.live.app import DenetApp
from denet_tui.touched import FailedPath, File, Touched, Use
from tests.screens.live.double import INFO, START_NS, SYSCALLS, TICK_NS, Session, added, counters, total
from tests.watch.helpers import rows_of

ROUND = 8
"""Snapshots made before they come round."""
ERRNO = 2
FILES = 2_000
_NAMES = ("sh", "cc1", "as", "ld", "python3", "postgres", "node")


def made(size: int, width: int) -> list[Snapshot]:
    """ROUND snapshots of `size` processes, each with `width` syscalls."""
    tables = [
        {call: counters(1 + (7 * tick + 3 * number) % 97, each_ns=300 * 3 ** (number % 9), errors=number == 2)
         for number, call in enumerate(SYSCALLS[:width])}
        for tick in range(3 * ROUND)
    ]  # fmt: skip
    counted: list[dict[Syscall, Counters]] = [{} for _ in range(size)]
    snapshots = []
    for tick in range(ROUND):
        recents = [tables[(tick * 5 + place) % len(tables)] for place in range(size)]
        for place, recent in enumerate(recents):
            before = counted[place]
            counted[place] = {call: before.get(call, NOTHING).plus(more) for call, more in recent.items()}
        snapshots.append(_snapshot(tick, counted, recents))
    return snapshots


def _snapshot(tick: int, counted: list[dict[Syscall, Counters]], recents: list[dict[Syscall, Counters]]) -> Snapshot:
    processes = tuple(_process(place, tick, counted[place], recent) for place, recent in enumerate(recents))
    whole, recent = added(counted), added(recents)
    failed = SYSCALLS[2]
    return Snapshot(
        time_ns=START_NS + tick * TICK_NS,
        wall_ms=INFO.start_wall_ms + tick * 500,
        elapsed_ns=tick * TICK_NS,
        interval_ns=TICK_NS,
        syscalls=MappingProxyType(whole),
        recent=MappingProxyType(recent),
        errnos={(failed, ERRNO): whole[failed].errors},
        processes=processes,
        total=total(whole.values()),
        delta=total(recent.values()),
        detail=Detail(touched=_touched(tick, len(processes))),
        in_flight=tuple(InFlight(each.tgid, each.tgid, SYSCALLS[0], each.start_ns) for each in processes),
    )


def _touched(tick: int, size: int) -> Touched:
    """FILES files, each with as much more at every tick as any other, so that their order stays."""
    uses = [Use(at, at + tick, at, 4096 * (at + tick), at, 9 * at + tick) for at in range(FILES)]
    files = {File("file", f"/srv/{at % 70}/{at % 7}/name{at}"): use for at, use in enumerate(uses)}
    by_process = {(4242 + at % size, file): use for at, (file, use) in enumerate(files.items())}
    failed = {FailedPath("openat", ERRNO, f"/usr/{at % 9}/name{at // 9}"): at + tick for at in range(FILES)}
    return Touched(files, by_process, failed, mounts=("/", "/srv/3"))


def _process(place: int, tick: int, counted: dict[Syscall, Counters], recent: dict[Syscall, Counters]) -> ProcessInfo:
    name = _NAMES[place % len(_NAMES)]
    return ProcessInfo(
        tgid=4242 + place,
        pid=4242 + place,
        ppid=4242 + (place - 1) // 5 if place else 1,
        comm=name,
        cmdline=(f"/usr/bin/{name}", "-j4", f"part-{place}"),
        start_ns=START_NS + place,
        execs=1,
        usage=Usage((tick * 7 + place) % 100, (place + tick + 1) * 3_700, threads=1 + place % 3),
        total=total(counted.values()),
        delta=total(recent.values()),
        syscalls=rows_of(counted),
        recent=rows_of(recent),
        errnos={(SYSCALLS[2], ERRNO): counted[SYSCALLS[2]].errors},
    )


class Round(Session):
    """Publishes the same snapshots again and again, on absolute deadlines."""

    def __init__(self, snapshots: list[Snapshot]) -> None:
        start_ns = time.monotonic_ns()
        super().__init__(snapshots, INFO._replace(start_ns=start_ns))
        self._since_ns = start_ns

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        self._publish = publish
        tick = 0
        while True:
            tick += 1
            now_ns = self._since_ns + tick * TICK_NS
            if stop.wait(max(0.0, (now_ns - time.monotonic_ns()) / 1e9)):
                return
            self.feed(
                self.snapshots[tick % ROUND]._replace(
                    time_ns=now_ns,
                    wall_ms=self.info.start_wall_ms + tick * 500,
                    elapsed_ns=tick * TICK_NS,
                )
            )


def main() -> None:
    size, width, *profile = sys.argv[1:]
    snapshots = made(int(size), int(width))
    gc.collect()
    gc.freeze()  # a session has one snapshot in memory, not ROUND of them, for the collector to walk
    app = DenetApp(Round(snapshots), on_quit="kill")
    if profile:
        recorder = cProfile.Profile()
        recorder.runcall(app.run)
        recorder.dump_stats(profile[0])
    else:
        app.run()
    sys.exit(app.return_code)


if __name__ == "__main__":
    main()
