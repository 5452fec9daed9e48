"""Holidays become rows once; a version's promise about a day never changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from portal import business_time
from portal.calendars import (
    DEFAULT_WEEK,
    as_calendar,
    ensure_default_calendar,
    extend_all,
    extend_horizon,
    forget_calendars,
    materialise,
    new_version,
)
from portal.models import BusinessCalendar, CalendarVersion, SpecialDate, User

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ISTANBUL: dict[str, Any] = {"time_zone": "Europe/Istanbul", "country": "TR"}


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    forget_calendars()


@pytest.fixture
def calendar(db: None) -> BusinessCalendar:
    return BusinessCalendar.objects.create(name="Istanbul desk")


def special(version: CalendarVersion, day: date) -> tuple[str, list[str]]:
    row = version.special_dates.get(day=day)
    return row.name, row.spans


def rows(version: CalendarVersion) -> list[tuple[int, date, str, list[str]]]:
    return list(version.special_dates.order_by("day").values_list("pk", "day", "name", "spans"))


def test_a_turkish_calendar_knows_fixed_holidays_and_the_days_of_eid(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    assert special(version, date(2026, 10, 29)) == ("Republic Day", [])
    assert special(version, date(2026, 4, 23)) == ("National Sovereignty and Children's Day", [])
    for day in (20, 21, 22):  # weekends among them are rows too, and harmless
        assert special(version, date(2026, 3, day)) == ("Eid al-Fitr", [])
    for day in (27, 28, 29, 30):
        assert special(version, date(2026, 5, day)) == ("Eid al-Adha", [])


def test_the_eves_of_turkish_holidays_are_half_days_until_13(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    assert special(version, date(2026, 3, 19)) == ("Eid al-Fitr (half day)", ["09:00-13:00"])
    assert special(version, date(2026, 5, 26)) == ("Eid al-Adha (half day)", ["09:00-13:00"])
    assert special(version, date(2026, 10, 28)) == ("Republic Day (half day)", ["09:00-13:00"])


def test_a_half_day_cuts_each_span_of_its_weekday_at_the_version_s_hour(calendar: BusinessCalendar) -> None:
    week = {"thursday": ["08:00-11:30", "12:00-15:00", "16:00-24:00"]}
    version = new_version(calendar, now=NOW, by=None, week=week, half_day_until="12:30", **ISTANBUL)
    assert special(version, date(2026, 3, 19))[1] == ["08:00-11:30", "12:00-12:30"]  # a Thursday
    assert special(version, date(2026, 10, 28))[1] == []  # a Wednesday, closed anyway


def test_a_day_that_is_a_holiday_and_a_half_day_is_closed(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    # 23 April 2029 is the eve of Eid al-Adha and Children's Day at once.
    assert special(version, date(2029, 4, 23)) == ("National Sovereignty and Children's Day", [])


def test_a_german_region_has_its_own_holidays(calendar: BusinessCalendar) -> None:
    berlin, bavaria = (
        new_version(calendar, now=NOW, by=None, country="DE", subdivision=region, time_zone="Europe/Berlin")
        for region in ("BE", "BY")
    )
    assert special(bavaria, date(2026, 1, 6)) == ("Epiphany", [])
    assert special(bavaria, date(2026, 6, 4)) == ("Corpus Christi", [])
    assert not berlin.special_dates.filter(day__in=[date(2026, 1, 6), date(2026, 6, 4)]).exists()
    assert special(berlin, date(2026, 3, 8))[0] == "Women's Day"
    assert special(berlin, date(2026, 10, 3)) == special(bavaria, date(2026, 10, 3))


def test_without_a_country_there_are_no_public_holidays(calendar: BusinessCalendar) -> None:
    assert not new_version(calendar, now=NOW, by=None, country="").special_dates.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": "ZZ"},
        {"country": "DE", "subdivision": "XX"},
        {"time_zone": "Mars/Olympus"},
        {"week": {"monday": ["18:00-09:00"]}},
        {"week": {"someday": ["09:00-18:00"]}},
        {"half_day_until": "25:00"},
        {"half_day_until": "noon"},
        {"own_days": [(date(2026, 12, 24), "Eve", ["9 to 12"])]},
        {"own_days": [(date(2026, 12, 24), "", [])]},
        {"own_days": [(date(2026, 12, 24), "Eve", []), (date(2026, 12, 24), "Again", [])]},
    ],
)
def test_an_impossible_version_is_refused_and_writes_nothing(
    calendar: BusinessCalendar, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        new_version(calendar, now=NOW, by=None, **wrong)
    assert not CalendarVersion.objects.exists()
    assert not SpecialDate.objects.exists()


def test_own_days_win_over_public_holidays(calendar: BusinessCalendar) -> None:
    own_days = [
        (date(2026, 10, 29), "Open on Republic Day", ["10:00-14:00"]),
        (date(2026, 12, 24), "Company day", []),
    ]
    version = new_version(calendar, now=NOW, by=None, own_days=own_days, **ISTANBUL)
    assert special(version, date(2026, 10, 29)) == ("Open on Republic Day", ["10:00-14:00"])
    assert special(version, date(2026, 12, 24)) == ("Company day", [])


def test_a_version_is_materialised_from_two_years_back_to_36_months_ahead(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    assert (version.covers_from, version.covers_until) == (date(2024, 1, 1), date(2029, 12, 31))
    assert CalendarVersion.objects.get(pk=version.pk).covers_until == version.covers_until
    assert special(version, date(2024, 1, 1))[0] == "New Year's Day"
    assert special(version, date(2029, 10, 29))[0] == "Republic Day"
    assert not version.special_dates.exclude(day__range=(version.covers_from, version.covers_until)).exists()


def test_the_year_of_a_new_version_is_the_one_in_its_zone(calendar: BusinessCalendar) -> None:
    new_years_eve = datetime(2026, 12, 31, 12, 0, tzinfo=UTC)  # 2 a.m. of 1 January on Kiritimati
    version = new_version(calendar, now=new_years_eve, by=None, time_zone="Pacific/Kiritimati")
    assert version.covers_from == date(2025, 1, 1)


def test_the_next_version_copies_what_is_not_changed(calendar: BusinessCalendar) -> None:
    author = User.objects.create_user("admin@example.com")
    own_days = [(date(2026, 12, 24), "Company day", [])]
    week = {"monday": ["08:00-12:00", "13:00-17:00"]}
    first = new_version(
        calendar, now=NOW, by=None, week=week, half_day_until="12:00", own_days=own_days, **ISTANBUL
    )
    second = new_version(calendar, now=NOW, by=author, time_zone="Europe/Berlin")
    assert (first.number, second.number) == (1, 2)
    assert (second.week, second.country, second.half_day_until) == (week, "TR", "12:00")
    assert (second.created_by, second.created_at) == (author, NOW)
    assert second.time_zone == "Europe/Berlin"
    assert special(second, date(2026, 12, 24)) == ("Company day", [])
    assert calendar.current_version == second


def test_two_versions_differ_and_the_older_one_stays_as_it_was(calendar: BusinessCalendar) -> None:
    first = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    before = rows(first)
    second = new_version(calendar, now=NOW, by=None, own_days=[(date(2026, 3, 3), "Inventory", [])])
    monday_evening = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)  # 17:00 in Istanbul, one hour before closing
    due = [business_time.add(as_calendar(version), monday_evening, 7200) for version in (first, second)]
    assert due == [datetime(2026, 3, 3, 7, 0, tzinfo=UTC), datetime(2026, 3, 4, 7, 0, tzinfo=UTC)]
    assert rows(first) == before


def test_given_own_days_replace_the_copied_ones(calendar: BusinessCalendar) -> None:
    new_version(calendar, now=NOW, by=None, own_days=[(date(2026, 12, 24), "Company day", [])])
    assert not new_version(calendar, now=NOW, by=None, own_days=[]).special_dates.exists()


def test_a_long_horizon_is_left_alone(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    before = rows(version)
    assert extend_horizon(version, NOW) is False
    assert extend_horizon(version, NOW + timedelta(days=365)) is False
    assert rows(version) == before


def test_an_extension_adds_days_beyond_the_old_horizon_and_touches_no_earlier_one(
    calendar: BusinessCalendar,
) -> None:
    own_days = [(date(2031, 6, 2), "Jubilee", [])]
    version = new_version(calendar, now=NOW, by=None, own_days=own_days, **ISTANBUL)
    # What the package said then is what was promised, even where it says something else today.
    version.special_dates.filter(day=date(2026, 10, 29)).update(name="As promised")
    version.special_dates.filter(day=date(2027, 1, 1)).delete()
    before, old_horizon = rows(version), version.covers_until
    later = datetime(2028, 1, 1, 9, 0, tzinfo=UTC)
    assert extend_horizon(version, later) is True
    assert version.covers_until == date(2031, 12, 31) >= later.date() + timedelta(days=731)
    after = rows(version)
    assert after[: len(before)] == before
    assert min(day for _, day, _, _ in after[len(before) :]) > old_horizon
    assert special(version, date(2031, 6, 2)) == ("Jubilee", [])
    assert special(version, date(2030, 10, 29)) == ("Republic Day", [])


def test_two_processes_extending_at_once_extend_once(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    stale = CalendarVersion.objects.get(pk=version.pk)  # read before the other one wrote
    assert materialise(version, date(2031, 12, 31)) > 0
    after = rows(version)
    assert materialise(stale, date(2031, 12, 31)) == 0
    assert materialise(CalendarVersion.objects.get(pk=version.pk), date(2030, 12, 31)) == 0
    assert rows(version) == after
    assert stale.covers_until == CalendarVersion.objects.get(pk=version.pk).covers_until == date(2031, 12, 31)


def test_a_process_that_saw_a_shorter_horizon_adds_only_what_lacks(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    stale = CalendarVersion.objects.get(pk=version.pk)
    materialise(version, date(2030, 12, 31))
    assert materialise(stale, date(2031, 12, 31)) == stale.special_dates.filter(day__year=2031).count() > 0


def test_all_short_versions_are_extended_and_a_hopeless_one_stops_no_other(
    calendar: BusinessCalendar, caplog: pytest.LogCaptureFixture
) -> None:
    hopeless, first, second = (new_version(calendar, now=NOW, by=None, **ISTANBUL) for _ in range(3))
    CalendarVersion.objects.filter(pk=hopeless.pk).update(country="ZZ")
    assert extend_all(NOW) == 0
    later = datetime(2029, 1, 1, tzinfo=UTC)
    assert extend_all(later) == 2
    assert extend_all(later) == 0
    for version in (first, second):
        version.refresh_from_db()
        assert version.covers_until == date(2032, 12, 31)
    assert "Istanbul desk v1 stays at 2029-12-31" in caplog.text


def test_an_extended_version_answers_beyond_its_old_horizon(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    eve = datetime(2029, 12, 31, 14, 30, tzinfo=UTC)  # 17:30 in Istanbul: half an hour is left in 2029
    with pytest.raises(business_time.HorizonError):
        business_time.add(as_calendar(version), eve, 3600)
    materialise(version, date(2031, 12, 31))
    assert business_time.add(as_calendar(version), eve, 3600) == datetime(2030, 1, 2, 6, 30, tzinfo=UTC)


def test_a_calendar_counts_half_days_and_skips_holidays(calendar: BusinessCalendar) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    noon_before_eid = datetime(2026, 3, 19, 9, 0, tzinfo=UTC)  # 12:00: one hour until the half day ends
    assert business_time.add(as_calendar(version), noon_before_eid, 2 * 3600) == datetime(
        2026, 3, 23, 7, 0, tzinfo=UTC
    )


def test_a_calendar_is_read_once_per_process(
    calendar: BusinessCalendar, django_assert_num_queries: Any
) -> None:
    version = new_version(calendar, now=NOW, by=None, **ISTANBUL)
    first = as_calendar(version)
    with django_assert_num_queries(0):
        assert as_calendar(version) is first


def test_an_empty_database_gets_business_hours_once(db: None, settings: Any) -> None:
    calendar = ensure_default_calendar(NOW)
    version = calendar.current_version
    assert (calendar.name, version.week, version.country) == ("Business hours", DEFAULT_WEEK, "TR")
    assert version.time_zone == settings.TIME_ZONE
    assert ensure_default_calendar(NOW) == calendar
    assert CalendarVersion.objects.count() == 1


def test_an_existing_calendar_is_the_default(calendar: BusinessCalendar) -> None:
    assert ensure_default_calendar(NOW) == calendar
    assert not CalendarVersion.objects.exists()
