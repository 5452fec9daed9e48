"""A report as people read it: its words, charts and rows, for page, PDF, mail and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.present import KIND_LABELS
from maintenance.models.window import Status as WindowStatus
from portal.models.service_impact import Impact
from portal.templatetags.portal_tags import duration

ROWS_SHOWN = 300
DURATION_LABELS = {
    "first_response": gettext_lazy("First response"),
    "intervention": gettext_lazy("Intervention started"),
    "restored": gettext_lazy("Service restored"),
    "resolved": gettext_lazy("Resolved"),
}
REASONS = {
    "closed hours": gettext_lazy("closed hours"),
    "waiting for customer": gettext_lazy("waiting for the customer"),
}
BAR_WIDTH = 300
TARGETS = {**KIND_LABELS, "status_update": gettext_lazy("Status update")}


@dataclass(frozen=True)
class Bar:
    """A part of a chart's row: where it begins and how wide it is, of `BAR_WIDTH`, and what it means."""

    x: int
    width: int
    look: str


@dataclass(frozen=True)
class ChartRow:
    label: str
    bars: list[Bar]
    value: str


@dataclass(frozen=True)
class Chart:
    """A chart drawn on the server; its values stand beside it, so that it is a table as well."""

    title: str
    unit: str
    rows: list[ChartRow]
    legend: list[tuple[str, str]]
    width: int = BAR_WIDTH


def thawed(value: Any, name: str = "") -> Any:
    """The frozen content with its times as times again, in UTC."""
    if isinstance(value, dict):
        return {key: thawed(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [thawed(part) for part in value]
    return datetime.fromisoformat(value) if isinstance(value, str) and name.endswith("_at") else value


def shown(content: dict[str, Any]) -> dict[str, Any]:
    """What the templates need: times, words, charts, and how many rows are left out of long tables."""
    report = thawed(content)
    month = date.fromisoformat(f"{report['month']}-01")
    for row in report["targets"]["rows"]:
        row["kind_word"] = TARGETS[row["kind"]]
        row["uncounted_words"] = uncounted_words(row["uncounted"])
    for row in report["targets"]["kinds"]:
        row["kind_word"] = TARGETS[row["kind"]]
        row["percent"] = percent(row["met"], row["missed"])
        row["claimed_percent"] = percent(row["claimed_met"], row["claimed_missed"])
    for row in report["durations"]:
        row["word"] = DURATION_LABELS[row["what"]]
    for row in report["maintenance"]:
        row["impact_word"] = Impact(row["impact"]).label
        row["status_word"] = WindowStatus(row["status"]).label
    report["month_word"] = date_format(month, "F Y")
    report["charts"] = charts(report)
    report["has_missed"] = any(row["missed"] for row in report["targets"]["kinds"])
    report["verdict_words"] = verdict_words(report)
    report["rows_shown"] = ROWS_SHOWN
    return report


def percent(met: int, missed: int) -> str:
    """“97 %”, cut: where one was missed it never says 100; “—” where there was none."""
    return f"{met * 100 // (met + missed)} %" if met + missed else "—"


def uncounted_words(parts: Iterable[dict[str, Any]]) -> list[str]:
    """“14 h closed hours”, “24 h Republic Day”: what did not count, and why."""
    return [f"{duration(part['seconds'])} {REASONS.get(part['reason'], part['reason'])}" for part in parts]


def verdict_words(report: dict[str, Any]) -> str:
    """The month in one sentence."""
    met = sum(row["met"] for row in report["targets"]["kinds"])
    missed = sum(row["missed"] for row in report["targets"]["kinds"])
    if not met + missed:
        return _("No target fell due in this month.")
    if not missed:
        return _("All %(count)s targets were met.") % {"count": met}
    return _("%(met)s of %(count)s targets were met; missed: %(missed)s.") % {
        "met": met,
        "count": met + missed,
        "missed": missed,
    }


# --- charts ---


def charts(report: dict[str, Any]) -> list[Chart]:
    return [targets_chart(report), downtime_chart(report)]


def targets_chart(report: dict[str, Any]) -> Chart:
    rows = report["targets"]["kinds"]
    most = max([row["met"] + row["missed"] for row in rows], default=0)
    legend = [("met", _("met")), ("missed", _("missed"))]
    return Chart(
        title=_("Targets met and missed"),
        unit=_("number of targets"),
        legend=legend,
        rows=[
            ChartRow(
                str(row["kind_word"]),
                bars([("met", row["met"]), ("missed", row["missed"])], most),
                _("%(met)s met, %(missed)s missed") % row,
            )
            for row in rows
        ],
    )


def downtime_chart(report: dict[str, Any]) -> Chart:
    """Time without the full service, per service."""
    rows = report["services"]
    looks = (
        ("missed", "downtime_seconds", _("outage")),
        ("degraded", "degraded_seconds", _("degraded")),
        ("planned", "planned_seconds", _("planned")),
    )
    most = max([sum(row[name] for _look, name, _word in looks) for row in rows], default=0)
    return Chart(
        title=_("Time without the full service"),
        unit=_("hours, minutes and seconds"),
        legend=[(look, word) for look, _name, word in looks],
        rows=[
            ChartRow(
                row["name"],
                bars([(look, row[name]) for look, name, _word in looks], most),
                ", ".join(f"{duration(row[name])} {word}" for _look, name, word in looks if row[name])
                or _("none"),
            )
            for row in rows
        ],
    )


def bars(parts: Iterable[tuple[str, int]], most: int) -> list[Bar]:
    """The parts side by side, to scale; a part that is there at all is at least two units wide."""
    found: list[Bar] = []
    x = 0
    for look, value in parts:
        if value:
            width = min(max(2, value * BAR_WIDTH // most), BAR_WIDTH - x)
            found.append(Bar(x, width, look))
            x += width
    return found


# --- CSV ---

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and value.lstrip(" ").startswith(DANGEROUS):
        return f"'{value}"
    return value


def csv_of(contents: Iterable[dict[str, Any]]) -> str:
    """The reports as RFC 4180: one figure a line, with a byte order mark, times in the organisation's zone."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["organisation", "month", "section", "about", "measure", "value", "unit"])
    for content in contents:
        head = [content["organisation"]["name"], content["month"]]
        for line in lines(thawed(content)):
            writer.writerow([safe_cell(cell) for cell in [*head, *line]])
    return "\ufeff" + out.getvalue()


def lines(report: dict[str, Any]) -> Iterator[list[Any]]:
    """(section, about, measure, value, unit) of every figure; words of the API, for machines."""
    zone = ZoneInfo(report["time_zone"])
    for name in ("from_at", "until_at", "ends_at", "made_at"):
        yield ["period", "", name, _said(report[name], zone), "time"]
    yield ["period", "", "is_running", _said(report["is_running"], zone), ""]
    sections = {
        "incident": ("reference", report["incidents"]["rows"]),
        "level": ("level", report["incidents"]["levels"]),
        "target kind": ("kind", report["targets"]["kinds"]),
        "target": ("reference", report["targets"]["rows"]),
        "duration": ("what", report["durations"]),
        "service": ("name", report["services"]),
        "rca": ("reference", report["rcas"]["rows"]),
        "maintenance": ("reference", report["maintenance"]),
    }
    for section in ("incidents", "cadence", "rcas", "actions"):
        for measure, value in report[section].items():
            if not isinstance(value, list):
                yield [section, "", measure, value, "count"]
    for section, (key, rows) in sections.items():
        for row in rows:
            about = f"{row[key]} {row['kind']} {row['level']}" if section == "target" else row[key]
            yield from _cells(section, about, {n: v for n, v in row.items() if n != key}, zone)


def _cells(section: str, about: str, row: dict[str, Any], zone: ZoneInfo) -> Iterator[list[Any]]:
    for measure, value in row.items():
        if measure == "uncounted":
            for part in value:
                yield [section, about, f"uncounted: {part['reason']}", part["seconds"], "seconds"]
            continue
        unit = {"seconds": "seconds", "at": "time", "percent": "percent"}.get(measure.rpartition("_")[2], "")
        yield [section, about, measure, _said(value, zone), unit]


def _said(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    return "" if value is None else value
