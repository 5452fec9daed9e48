"""How long requests took, by view, from the same histogram as `/metrics`: since this process (or, where they share a
folder, those of this machine) began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from portal.metrics import of_requests

NAME = "portal_request_seconds"
QUANTILE = 0.95


@dataclass
class Times:
    """The requests to one view: how many, how many failed by a fault of ours, and their seconds."""

    view: str
    count: int = 0
    failed: int = 0
    seconds: float = 0.0
    up_to: dict[float, float] = field(
        default_factory=lambda: defaultdict(float)
    )  # bound: how many were within it

    @property
    def average_ms(self) -> int:
        return round(1000 * self.seconds / self.count) if self.count else 0

    @property
    def most_within_ms(self) -> int | None:
        """The least bound within which 19 of 20 were; None where that was longer than the last bound."""
        enough = QUANTILE * self.count
        bounds = sorted(bound for bound, within in self.up_to.items() if within >= enough)
        return round(1000 * bounds[0]) if bounds and bounds[0] != float("inf") else None


def request_times() -> list[Times]:
    """Each view that was asked for here, the one that took the most time in all first."""
    return summed(of_requests().collect())


def summed(metrics: Iterable[Metric]) -> list[Times]:
    found: dict[str, Times] = {}
    for sample in (sample for metric in metrics if metric.name == NAME for sample in metric.samples):
        times = found.setdefault(sample.labels["view"], Times(sample.labels["view"]))
        if sample.name == f"{NAME}_bucket":
            times.up_to[float(sample.labels["le"])] += sample.value
        elif sample.name == f"{NAME}_sum":
            times.seconds += sample.value
        elif sample.name == f"{NAME}_count":
            times.count += int(sample.value)
            times.failed += int(sample.value) if sample.labels["status"] == "5xx" else 0
    return sorted(found.values(), key=lambda times: (-times.seconds, times.view))
