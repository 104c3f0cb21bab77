"""The same metrics for a collector of OpenTelemetry: families as prometheus_client has them, sent as OTLP."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from denet_tui import __version__
from denet_tui.system.visible import complain

with suppress(ImportError):  # the exporter wants it late, when this process may not be root any more, nor see its files
    importlib.import_module("requests")

_INTERVAL_S = 15
_CUMULATIVE = sdk.AggregationTemporality.CUMULATIVE


class Push:
    """Sends what `collect` has every 15 s, on a thread of its own, and once more at the end."""

    def __init__(self, url: str, collect: Callable[[], Iterable[Metric]]) -> None:
        self._exporter, self._collect = OTLPMetricExporter(endpoint=url), collect
        self._url, self._began_ns, self._failing = url, time.time_ns(), False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Send the last numbers."""
        self._over.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while True:
            over = self._over.wait(_INTERVAL_S)
            sent = self._exporter.export(metrics_data(self._collect(), self._began_ns, time.time_ns()))
            failed = sent is not sdk.MetricExportResult.SUCCESS
            if failed and not self._failing:
                complain(f"metrics cannot be sent to {self._url}; it is tried again every {_INTERVAL_S} s")
            self._failing = failed
            if over:
                return


def metrics_data(families: Iterable[Metric], began_ns: int, now_ns: int) -> sdk.MetricsData:
    """What an exporter of the SDK takes; times are Unix times."""
    found = [
        sdk.Metric(each.name, each.documentation, "s" if each.unit == "seconds" else "", _data(each, began_ns, now_ns))
        for each in families
    ]
    scope = sdk.ScopeMetrics(InstrumentationScope("denet_tui", __version__), found, "")
    resource = Resource.create({"service.name": "denet-tui", "service.version": __version__})
    return sdk.MetricsData([sdk.ResourceMetrics(resource, [scope], "")])


def _data(family: Metric, began_ns: int, now_ns: int) -> Any:
    if family.type == "histogram":
        return sdk.Histogram([*_histograms(family.samples, began_ns, now_ns)], _CUMULATIVE)
    points = [sdk.NumberDataPoint(each.labels, began_ns, now_ns, each.value) for each in family.samples]
    return sdk.Sum(points, _CUMULATIVE, is_monotonic=True) if family.type == "counter" else sdk.Gauge(points)


def _histograms(samples: Iterable[Sample], began_ns: int, now_ns: int) -> Iterator[sdk.HistogramDataPoint]:
    """A point for each run of buckets with its count and sum, in the order in which the client has them."""
    bounds, counts, count = list[float](), list[int](), 0
    for each in samples:
        if each.name.endswith("_bucket"):
            bounds.append(float(each.labels["le"]))
            counts.append(int(each.value) - sum(counts))
        elif each.name.endswith("_count"):
            count = int(each.value)
        else:
            infinite = bounds.pop()
            assert infinite == float("inf")  # noqa: S101 - the last bucket of each
            yield sdk.HistogramDataPoint(each.labels, began_ns, now_ns, count, each.value, counts, bounds, None, None)
            bounds, counts = [], []
