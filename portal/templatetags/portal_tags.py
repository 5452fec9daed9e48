"""What templates need to show times, durations, icons and people's Markdown."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from portal import status_words
from portal.markdown import plain_text, render_markdown
from portal.middleware import zone_info
from portal.service_state import Day
from portal.uptime import Figures

register = template.Library()


def zone_label(value: datetime) -> str:
    """CET or EDT where the zone has such a name, else UTC+3."""
    name = value.tzname() or "UTC"
    if name.isalpha():
        return name
    offset = value.utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    sign = "+" if minutes >= 0 else "-"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")


@register.filter
def moment(value: datetime | None) -> str:
    """“Tue 24 Nov 2026, 14:30 UTC+3” in the active zone, for pages and for the text of mails."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    seconds = local.strftime(":%S") if local.second else ""
    return f"{date_format(local, 'D j M Y, H:i')}{seconds} {zone_label(local)}"


def relative_text(value: datetime, now: datetime) -> str:
    """“in 12 min”, “3 h ago”: the largest unit, cut."""
    seconds = int((value - now).total_seconds())
    size = abs(seconds)
    if size >= 86400:
        words = ngettext("%(count)s day", "%(count)s days", size // 86400) % {"count": size // 86400}
    elif size >= 3600:
        words = _("%(count)s h") % {"count": size // 3600}
    else:
        words = _("%(count)s min") % {"count": max(1, size // 60)}
    return (_("in %(words)s") if seconds >= 0 else _("%(words)s ago")) % {"words": words}


@register.simple_tag(takes_context=True)
def time(context: dict[str, Any], value: datetime | None, relative: bool = True) -> SafeString | str:
    """A <time> element: absolute with its zone, machine readable, and relative unless told otherwise."""
    if value is None:
        return ""
    now = context.get("now") or timezone.now()
    if not relative:
        return format_html('<time datetime="{}">{}</time>', value.isoformat(), moment(value))
    return format_html(
        '<time datetime="{}" data-relative>{} <span class="relative">({})</span></time>',
        value.isoformat(),
        moment(value),
        relative_text(value, now),
    )


def period_text(start: datetime, end: datetime) -> str:
    """“Tue 24 Nov 2026, 14:30 – 16:30 UTC+3”: day and zone once, where they are the same."""
    first, last = timezone.localtime(start), timezone.localtime(end)
    if (first.date(), first.utcoffset()) != (last.date(), last.utcoffset()):
        return f"{moment(start)} – {moment(end)}"
    day_and_time = moment(start).removesuffix(f" {zone_label(first)}")
    return f"{day_and_time} – {hour(end)} {zone_label(last)}"


@register.simple_tag
def period(start: datetime, end: datetime) -> str:
    """From one moment to another, in the active zone."""
    return period_text(start, end)


@register.filter
def hour(value: datetime | None) -> str:
    """“14:30” in the active zone, for timelines that name day and zone once."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    return local.strftime("%H:%M:%S" if local.second else "%H:%M")


@register.filter
def hour_with_zone(value: datetime | None) -> str:
    """“14:30 UTC+3”, for what happened within the hours that a page is about."""
    return f"{hour(value)} {zone_label(timezone.localtime(value))}" if value else ""


@register.filter
def moment_in(value: datetime | None, zone: str) -> str:
    """The moment in a zone that is not the reader's, such as a maintenance window's own."""
    with timezone.override(zone_info(zone)):
        return moment(value)


@register.filter
def day(value: date | None) -> str:
    """“Tue 24 Nov 2026”, as in `moment`."""
    return _day_in(get_language() or "", value) if value else ""


@lru_cache(maxsize=4096)  # a page of service states says the same 90 days for each service
def _day_in(language: str, value: date) -> str:
    return date_format(value, "D j M Y")


@register.filter
def when(value: datetime | date | None) -> str:
    """A moment with its zone, or a day."""
    return moment(value) if isinstance(value, datetime) else day(value)


@register.filter
def day_with_zone(value: datetime) -> str:
    local = timezone.localtime(value)
    return f"{date_format(local, 'l j F Y')} ({zone_label(local)})"


@register.filter
def local_day(value: datetime) -> date:
    return timezone.localtime(value).date()


@register.filter
def duration(seconds: int | None) -> str:
    """Seconds as “3 h 20 min”, “45 s”."""
    if seconds is None:
        return ""
    minutes, rest = divmod(abs(int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, _("h")), (minutes, _("min")), (rest, _("s"))]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or f"0 {_('s')}"


@register.filter
def markdown(text: str) -> SafeString:
    return render_markdown(text)


@register.filter
def plain(text: str) -> str:
    """People's Markdown without its marks, for the text part of a mail."""
    return plain_text(text)


@register.simple_tag
def icon(name: str) -> SafeString:
    """A decorative icon of the sprite; the word beside it says the same."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("img/icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def zone_note(context: dict[str, Any]) -> str:
    """“Times are shown in Europe/Istanbul (UTC+3).”"""
    local = timezone.localtime(context.get("now") or timezone.now())
    return _("Times are shown in %(zone)s (%(label)s).") % {
        "zone": timezone.get_current_timezone_name(),
        "label": zone_label(local),
    }


@register.filter
def percent_of(percent: int, width: int) -> int:
    """A percentage, capped at 100, as a length in a drawing of `width` units."""
    return min(int(percent), 100) * width // 100


@register.filter
def css_sheets(names: str) -> list[str]:
    """The style sheets of a space-separated list of component names."""
    return [f"css/{name}.css" for name in names.split()]


@register.filter
def bars(days: list[Day]) -> list[status_words.Bar]:
    """The days of a strip, placed in its drawing."""
    return status_words.bars(days)


@register.filter
def felt(figures: Figures) -> list[tuple[str, int]]:
    """(impact in words, seconds) of all that was felt in a period, the worst first."""
    return status_words.felt(figures)


@register.filter
def felt_days(days: list[Day]) -> list[Day]:
    """The days on which anything was felt, newest first."""
    return [day for day in reversed(days) if day.impact != "none"]


@register.filter
def availability(figures: Figures) -> str:
    return status_words.percent(figures)
