"""Service status in words and as a drawing: what each day of a strip shows and says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from portal import uptime
from portal.models.service_impact import Impact
from portal.service_state import Day
from portal.uptime import Figures

WIDTH, HEIGHT, GAP = 8, 32, 2
# The worse a day, the taller its bar: colour is not the only difference.
TALL = {"none": 14, "reduced_redundancy": 20, "degraded": 26, "outage": HEIGHT}


@dataclass(frozen=True)
class Bar:
    """One day of the drawing. A planned one is drawn in two pieces, of which `split` is the gap."""

    x: int
    y: int
    height: int
    split: int
    look: str
    day: Day


def bars(days: Sequence[Day]) -> list[Bar]:
    return [bar_of(day, index * WIDTH) for index, day in enumerate(days)]


def bar_of(day: Day, x: int) -> Bar:
    height = TALL[day.impact]
    y = HEIGHT - height
    look = "maintenance" if day.is_planned else day.impact
    return Bar(x, y, height, y + height // 2 - 1 if day.is_planned else 0, look, day)


def felt(figures: Figures) -> list[tuple[str, int]]:
    """What was felt, in words, and its seconds: the worst first, planned time apart and last."""
    worst = uptime.WORST_FIRST[:-1]
    words = [
        (str(Impact(impact).label), seconds) for impact in worst if (seconds := figures.unplanned[impact])
    ]
    planned = [
        (_("Maintenance (%(impact)s)") % {"impact": Impact(impact).label}, seconds)
        for impact in worst
        if (seconds := figures.planned[impact])
    ]
    return words + planned


def percent(figures: Figures) -> str:
    """The availability as “99.982 %”, cut and never rounded up; a dash where no time was agreed."""
    share = figures.availability
    if share is None:
        return "—"
    return _("%(number)s %%") % {"number": number_format(uptime.percent(share).normalize(), use_l10n=True)}
