"""What is watched as metrics of prometheus_client: a bounded number of series, whose sums are everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from threading import Lock

from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.samples import Sample

from denet_tui import __version__
from denet_tui.counts import new_errnos
from denet_tui.model import (
    BUCKETS,
    LANE,
    Counters,
    Errnos,
    Loss,
    ProcessInfo,
    ProcessKey,
    RunInfo,
    Snapshot,
    bucket_floor_ns,
    unpack_buckets,
)
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import shortened, visible

OTHER, UNKNOWN = "other", "unknown"
_RESTED_NS = 600 * 10**9
"""A series that has not grown for so long makes room for one that is new."""
_PER_HISTOGRAM = BUCKETS + 2
_ALWAYS = len(Loss._fields) + 5 + 6
"""Series that there are anyway: what was lost, the five without labels of their own, and those of ProcessCollector."""
_LONGEST = 200
"""Letters of a label."""
_BOUNDS = [*(repr((bucket_floor_ns(index + 1) - 1) / 1e9) for index in range(BUCKETS - 1)), "+Inf"]
"""A time is a whole number of ns: what is in a bucket is at most 1 ns below the floor of the next one."""
Labels = tuple[str, ...]


class _Row:
    """One series: its labels as prometheus_client takes them, its value, and when that has last grown."""

    __slots__ = ("grown_ns", "labels", "value")

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels, self.value, self.grown_ns = labels, 0, 0


class Series:
    """What was counted by some labels, of which at most so many have a series; `rest` is what all others have.

    A value is a number of calls, or the packed lanes of Counters, whose lowest are the calls.
    """

    def __init__(self, names: Labels, most: int) -> None:
        self._names, self._most = names, most
        self._others = (OTHER,) * len(names)
        self._rows: dict[Labels, _Row] = {}
        """Those that have rested longest first."""
        self._given = 0
        self.rest = 0

    def add(self, new: Mapping[Labels, int], total: int, now_ns: int) -> None:
        """What has come since the last time, the most frequent first; `total` is all that there ever was."""
        for values, count in sorted(new.items(), key=lambda item: item[1] & LANE, reverse=True):
            row = self._rows.pop(values, None)
            if row is None:
                if values == self._others or not self._has_room(now_ns):
                    continue
                row = _Row(dict(zip(self._names, values, strict=True)))
            row.value += count
            row.grown_ns = now_ns
            self._given += count
            self._rows[values] = row
        self.rest = total - self._given

    def rows(self) -> Iterator[tuple[dict[str, str], int]]:
        """(labels, value) of each, and of the rest where there is any."""
        for row in self._rows.values():
            yield row.labels, row.value
        if self.rest:
            yield dict(zip(self._names, self._others, strict=True)), self.rest

    def _has_room(self, now_ns: int) -> bool:
        if len(self._rows) < self._most:
            return True
        oldest = next(iter(self._rows), None)
        if oldest is None or now_ns - self._rows[oldest].grown_ns < _RESTED_NS:
            return False
        del self._rows[oldest]
        return True


class Metrics:
    """A collector of prometheus_client over the snapshots that it is given; both may happen on threads of their own."""

    def __init__(self, info: RunInfo, most: int) -> None:
        """Of `most` series in all half are for calls, a sixth for errors, and a third for histograms.

        Of each one is `other`, and all else that is served goes off before.
        """
        most -= _ALWAYS
        self._info = info
        self._calls = Series(("cgroup", "comm", "syscall"), most // 2 - 1)
        self._errors = Series(("cgroup", "comm", "syscall", "errno"), most // 6 - 1)
        self._times = Series(("syscall",), most // 3 // _PER_HISTOGRAM - 1)
        self._last: Snapshot | None = None
        self._cgroups: dict[int, str] = {}
        """Of the processes of the last snapshot, by their ids."""
        self._errnos: dict[ProcessKey, Errnos] = {}
        self._ended = 0
        self._lock = Lock()

    def add(self, snapshot: Snapshot) -> None:
        """One tick; the same again adds nothing."""
        if snapshot is self._last:
            return
        calls, errors, times = Counter[Labels](), Counter[Labels](), Counter[Labels]()
        cgroups, errnos = dict[int, str](), dict[ProcessKey, Errnos]()
        known = {each.key: each for each in chain(snapshot.processes, snapshot.ended)}
        for key, process in sorted(known.items(), key=lambda item: item[1].start_ns):
            cgroups[process.pid] = self._cgroup(process, cgroups)
            errnos[key] = process.errnos
            where = cgroups[process.pid], _label(process.comm)
            for call, counters in process.recent.items():
                calls[*where, call.name] += counters.calls
            for (call, number), count in new_errnos(process.errnos, self._errnos.get(key, {})).items():
                errors[*where, call.name, errno_name(number)] += count
        for call, counters in snapshot.recent.items():
            times[call.name,] += counters[0]
        now_ns = snapshot.time_ns
        with self._lock:
            self._calls.add(calls, snapshot.total.calls, now_ns)
            self._errors.add(errors, snapshot.total.errors, now_ns)
            self._times.add(times, snapshot.total[0], now_ns)
            self._cgroups, self._errnos = cgroups, errnos
            self._ended += len(snapshot.ended)
            self._last = snapshot

    def _cgroup(self, process: ProcessInfo, these: Mapping[int, str]) -> str:
        """Of what had ended before it could be looked at, that of its parent: there it was forked (man 7 cgroups)."""
        if process.cgroup:
            return _label(process.cgroup)
        return these.get(process.ppid) or self._cgroups.get(process.ppid, UNKNOWN)

    def collect(self) -> Iterator[Metric]:
        """The families, of one moment."""
        with self._lock:
            families = [*self._families()]
        yield from families

    def _families(self) -> Iterator[Metric]:
        build = InfoMetricFamily("denet_build", "What counts, and what it watches.")
        watches = visible(self._info.executable)
        build.add_metric((), {"version": __version__, "method": self._info.method, "watches": watches})
        yield build
        if self._last is None:
            return
        yield _counter("denet_calls", "System calls entered.", self._calls.rows())
        yield _counter("denet_errors", "System calls that failed.", self._errors.rows())
        yield self._histograms()
        lost = (({"what": name}, count) for name, count in self._last.loss._asdict().items() if count is not None)
        yield _counter("denet_lost", "Events that could not be counted; what cannot be known is left out.", lost)
        yield _counter("denet_ended", "Processes that have ended.", [({}, self._ended)])
        for name, about, value in (
            ("denet_exact", "1 as long as nothing is lost, and that can be known.", int(self._last.exact)),
            ("denet_processes", "Processes that live.", sum(each.alive for each in self._last.processes)),
            ("denet_snapshot_timestamp_seconds", "When the kernel side was last read.", self._last.wall_ms / 1000),
        ):
            yield GaugeMetricFamily(name, about, value)

    def _histograms(self) -> Metric:
        family = Metric("denet_call_seconds", "Time in system calls that returned.", "histogram", "seconds")
        for labels, lanes in self._times.rows():
            counters, so_far = Counters.of_lanes((lanes, 0)), 0
            for most, count in zip(_BOUNDS, unpack_buckets(counters.buckets), strict=True):
                so_far += count
                family.samples.append(Sample("denet_call_seconds_bucket", {**labels, "le": most}, so_far))
            family.samples.append(Sample("denet_call_seconds_count", labels, counters.returns))
            family.samples.append(Sample("denet_call_seconds_sum", labels, counters.time_ns / 1e9))
        return family


def _counter(name: str, about: str, rows: Iterable[tuple[dict[str, str], int]]) -> Metric:
    family = Metric(name, about, "counter")
    family.samples = [Sample(f"{name}_total", labels, value) for labels, value in rows]
    return family


@lru_cache(4096)
def _label(text: str) -> str:
    """So that what looks the same is one series."""
    return shortened(visible(text), _LONGEST)
