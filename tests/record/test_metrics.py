"""Metrics from snapshots, read by the client's own parser: a bounded number of series, whose sums are everything."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from denet_tui import __version__
from denet_tui.cli_serve import serve
from denet_tui.model import Counters, Loss, Snapshot, Syscall
from denet_tui.record.metrics import OTHER, Metrics
from tests.record.made import INFO, OPENAT, READ, WRITE, counted, process, snapshot, story
from tests.watch.test_sampler import at_most_one_life_at_a_time, play, ticks_with_losses

MOST: int = next(each.default for each in serve.params if each.name == "most")


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Value by name and labels but the cgroup, as Prometheus reads them; no series is there twice."""
    text = generate_latest(metrics).decode()  # type: ignore[no-untyped-call]
    rows = [each for family in text_string_to_metric_families(text) for each in family.samples]
    assert len({(each.name, *each.labels.items()) for each in rows}) == len(rows)
    found = Counter[tuple[str, ...]]()
    for each in rows:  # a process made up here may have the id of a real one, which is in a cgroup
        found[each.name, *(value for name, value in each.labels.items() if name != "cgroup")] += each.value  # type: ignore[assignment]
    return dict(found)  # type: ignore[arg-type]


def sums(metrics: Metrics) -> Counter[str]:
    """Value by name, over all labels."""
    total = Counter[str]()
    for (name, *_), value in samples(metrics).items():
        total[name] += int(value)
    return total


def adds_up(metrics: Metrics, last: Snapshot) -> None:
    told = sums(metrics)
    assert told["denet_calls_total"] == last.total.calls
    assert told["denet_errors_total"] == last.total.errors
    assert told["denet_call_seconds_count"] == last.total.returns


@settings(max_examples=10)
@given(ticks_with_losses)
def test_the_sums_are_everything_whatever_happens(script: list) -> None:  # type: ignore[type-arg]
    kernel, snapshots = play(script)
    for most in (200, MOST):
        metrics = Metrics(INFO, most)
        for each in snapshots:
            metrics.add(each)
        adds_up(metrics, snapshots[-1])
    rests = [name for name, *labels in samples(metrics) if OTHER in labels]
    if at_most_one_life_at_a_time(kernel, snapshots) and not snapshots[-1].loss.rows:
        assert rests == []


def test_of_a_story_each_number_has_its_names() -> None:
    metrics = Metrics(INFO, MOST)
    told = story()
    for each in (*told, told[-1]):  # as the last one of a run is
        metrics.add(each)
    found = samples(metrics)
    adds_up(metrics, told[-1])
    assert found["denet_calls_total", "make", "openat"] == 12
    assert found["denet_errors_total", "make", "ENOENT", "openat"] == 3
    assert found["denet_call_seconds_count", "openat"] == 12
    assert found["denet_call_seconds_bucket", "1.6383e-05", "openat"] == 0
    assert found["denet_call_seconds_bucket", "3.2767e-05", "openat"] == 12
    assert found["denet_call_seconds_sum", "openat"] == 12 * 20_000 / 1e9
    assert found["denet_exact",] == 1
    assert found["denet_ended_total",] == len({each.key for one in told for each in one.ended})
    assert found["denet_build_info", "raw", __version__, "/usr/bin/make"] == 1


def test_what_is_lost_is_told_and_what_cannot_be_known_is_left_out() -> None:
    metrics = Metrics(INFO, MOST)
    metrics.add(snapshot(0.5, [process(1000, {READ: counted(3)})], loss=Loss(rows=4, missed=None)))
    found = samples(metrics)
    assert found["denet_lost_total", "rows"] == 4
    assert ("denet_lost_total", "missed") not in found
    assert found["denet_exact",] == 0


def crowd(at_s: float, first: int, count: int) -> Snapshot:
    """So many processes, each with a name of its own and ten calls; the later ones call more often."""
    some = [Syscall(0, nr, f"call{nr}") for nr in range(10)]
    rows = [{call: counted(1 + pid, 1) for call in some} for pid in range(first, first + count)]
    return snapshot(at_s, [process(1 << 22 | first + at, each, comm=f"p{first + at}") for at, each in enumerate(rows)])


def test_the_number_of_series_is_bounded_and_the_most_frequent_get_them() -> None:
    for most in (200, MOST):
        metrics = Metrics(INFO, most)
        metrics.add(last := crowd(0.5, 0, 200))
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(metrics)
        served = [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]  # type: ignore[no-untyped-call]
        assert most / 2 < len(served) <= most, "also with what serve says of itself"
        adds_up(metrics, last)
        assert samples(metrics)["denet_calls_total", "p199", "call3"] == 200
        assert samples(metrics)["denet_calls_total", OTHER, OTHER] > 0


def test_what_has_rested_for_long_makes_room() -> None:
    metrics = Metrics(INFO, 200)
    first = crowd(0.5, 0, 100)
    for at_s, rested in ((10.0, False), (700.0, True)):
        metrics.add(first)
        second = crowd(at_s, 5000, 100)
        before, calls = samples(metrics), sum(each.calls for each in second.recent.values())
        metrics.add(second._replace(total=first.total.plus(second.total)))
        now = samples(metrics)
        assert (("denet_calls_total", "p5099", "call3") in now) is rested
        assert len(now) == len(before)
        rest = "denet_calls_total", OTHER, OTHER
        own = sum(value for key, value in now.items() if key[0] == rest[0] and key[1].startswith("p5"))
        assert now[rest] - before[rest] + own == calls
        metrics = Metrics(INFO, 200)


def test_a_label_can_be_anything() -> None:
    odd = 'a"\\\n\x1b\udcff\u202e' + "x" * 1000
    metrics = Metrics(INFO, MOST)
    rows = {WRITE: Counters(1), OPENAT: counted(2)}
    metrics.add(snapshot(0.5, [process(1 << 22 | ord(end), rows, comm=odd + end) for end in "ab"]))
    (name,) = {key[1] for key in samples(metrics) if key[0] == "denet_calls_total"}
    assert name.isprintable()
    assert len(name) <= 200
    assert name.startswith('a"\\\\n\\x1b\\xff\\u202ex')
