"""A snapshot -> the text that Prometheus reads. Knows nothing about what is counted or who asks.

`prometheus-client` (extra `metrics`) writes the format; nothing of it runs before somebody asks.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from common.live.board import Board
from common.live.families import PREFIX, PROCESSES, Family, Spread, Value

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Shown(Collector):  # type: ignore[misc,unused-ignore]
    """The metrics of one process."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """All families, each by the newest snapshot."""
        board, about = self._board, self._board.about
        build = {"version": about.version, "model": about.model, "model_id": about.model_id}
        yield InfoMetricFamily(f"{PREFIX}build", "What runs here.", value=build)
        ready = not board.unready()  # first: what looks bad is looked at for half a second, in which counters go on
        snapshot = board.look()
        of_all: dict[str, Value] = {
            "start_time_seconds": board.started_s,
            "ready": float(ready),
            "snapshot_age_seconds": board.age_s(snapshot) if snapshot.values else None,
        }
        yield from families(PROCESSES[about.process], {**snapshot.values, **of_all})

    def text(self) -> bytes:
        """As it goes over the wire."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return bytes(generate_latest(registry))


def families(known: Mapping[str, Family], values: Mapping[str, Value]) -> Iterator[Metric]:
    """Each family whose value is known. Raises KeyError for a value that is of none."""
    for name, value in values.items():
        family = known[name]
        if value is not None:
            yield _metric(PREFIX + name, family, value)


def _metric(name: str, family: Family, value: Value) -> Metric:
    if isinstance(value, Spread):
        below, buckets = 0, []
        for bound, count in zip((*map(str, value.bounds), "+Inf"), value.counts, strict=True):
            below += count
            buckets.append((bound, below))
        return HistogramMetricFamily(name, family.text, buckets=buckets, sum_value=value.total)
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    if isinstance(value, Mapping):
        metric = kind(name, family.text, labels=(family.label,))
        for label, one in value.items():
            metric.add_metric((label,), one)
        return metric
    return kind(name, family.text, value=value)
