"""Own days of a calendar, entered on the staff desk."""

import json
from datetime import date

import pytest

from portal.calendars import ensure_default_calendar
from portal.models import CalendarVersion
from tests.conftest import T0


def post(client, days):
    before = ensure_default_calendar(T0).versions.order_by("-number").first()
    return client.post(
        "/admin/portal/calendarversion/add/",
        {
            "calendar": before.calendar_id,
            "time_zone": before.time_zone,
            "week": json.dumps(before.week),
            "country": before.country,
            "subdivision": before.subdivision,
            "half_day_until": before.half_day_until,
            "day_lines": days,
        },
    )


def own_days():
    version = CalendarVersion.objects.order_by("-number").first()
    return list(version.own_days.order_by("day").values_list("day", "name", "spans"))


def test_own_days_make_a_new_version_and_are_kept_by_the_next(client, h1):
    client.force_login(h1)
    answer = post(client, "2027-06-01 | Founders' Day\n2027-12-24 | Eve | 09:00-11:00, 12:00-13:00\n")
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    days = [
        (date(2027, 6, 1), "Founders' Day", []),
        (date(2027, 12, 24), "Eve", ["09:00-11:00", "12:00-13:00"]),
    ]
    assert own_days() == days
    assert post(client, "").status_code == 302
    assert own_days() == days


@pytest.mark.parametrize("line", ["tomorrow | X", "2027-06-01", "2027-06-01 | X | 9 to 5", "2027-06-31 | X", "a|b|c|d"])  # fmt: skip
def test_a_line_that_is_no_day_is_refused_with_how_to_write_it(client, h1, line):
    client.force_login(h1)
    answer = post(client, line)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert CalendarVersion.objects.count() == 1
