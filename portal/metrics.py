"""Figures in Prometheus' text format: how long requests took, and what the rows say at the time of asking.

A gauge is read by a few queries of what waits or of a bounded time; nothing here counts a history, so a scrape
costs the same after ten years. No label names a customer, a person or an address.

Several web processes of a machine share the requests' times in the folder PROMETHEUS_MULTIPROC_DIR, which must be
there before they start, and be empty then.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import Error
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

Labels = Mapping[str, str]
Pairs = Iterable[tuple[Labels, float]]


@dataclass(frozen=True)
class Gauge:
    """A figure of `/metrics`: `read(now)` yields (labels, value) pairs at the time of asking."""

    name: str
    help: str
    read: Callable[[datetime], Pairs]


_gauges: dict[str, Gauge] = {}


def register_gauge(gauge: Gauge) -> None:
    """Show `gauge` in `/metrics`, in place of one of the same name. For an app's ready()."""
    _gauges[gauge.name] = gauge


def read_gauge(name: str, now: datetime) -> list[tuple[Labels, float]]:
    """What `/metrics` says under `name` at `now`; nothing where no room has such a figure."""
    return list(_gauges[name].read(now)) if name in _gauges else []


class Figures(Collector):
    """The gauges as of one moment. One that fails is left out and logged; the database's errors are raised."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for gauge in _gauges.values():
            try:
                pairs = list(gauge.read(self.now))
            except Error:
                raise
            except Exception:
                logger.exception("the figure %s cannot be read", gauge.name)
                continue
            yield _family(gauge, pairs)


def _family(gauge: Gauge, pairs: list[tuple[Labels, float]]) -> Metric:
    names = list(pairs[0][0]) if pairs else []
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=names)
    for labels, value in pairs:
        family.add_metric([labels[name] for name in names], value)
    return family


def exposition(now: datetime) -> bytes:
    """Everything that `/metrics` says at `now`. Raises the database's errors."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(now))
    return generate_latest(registry) + generate_latest(of_requests())


def of_requests() -> CollectorRegistry:
    """This process's own figures, or those of all that share the folder."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
