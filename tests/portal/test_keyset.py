"""Lists by keyset: every row once, on the way there and on the way back, whatever comes meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import signing

from incidents.models import Incident
from portal import keyset
from tests.conftest import T0
from tests.factories import incident

pytestmark = pytest.mark.django_db
ORDERS = [("-pk",), ("next_due_at", "-pk"), ("-next_due_at", "pk")]


@pytest.fixture
def rows(a1):
    """Nine incidents: three without a due time, and some of the same."""
    for number in range(9):
        made = incident(a1, T0, title=f"Number {number}")
        due = None if number % 3 == 0 else T0 + timedelta(hours=number // 3)
        Incident.objects.filter(pk=made.pk).update(next_due_at=due)
    return Incident.objects.all()


def walk(rows, order, cursor=None, step="after"):
    seen = []
    while cursor != "":
        page = keyset.cut(rows, order, 2, cursor)
        seen.append([row.pk for row in page.rows])
        cursor = getattr(page, step)
    return seen


@pytest.mark.parametrize("order", ORDERS)
def test_every_row_is_on_one_page_and_what_has_no_value_comes_last_when_rising(rows, order):
    pages = walk(rows, order)
    flat = [pk for page in pages for pk in page]
    assert sorted(flat) == sorted(rows.values_list("pk", flat=True))
    if "next_due_at" in order[0]:
        without = set(rows.filter(next_due_at=None).values_list("pk", flat=True))
        at_the_end = flat[-3:] if order[0] == "next_due_at" else flat[:3]
        assert set(at_the_end) == without


@pytest.mark.parametrize("order", ORDERS)
def test_the_way_back_shows_the_same_pages(rows, order):
    pages = walk(rows, order)
    last = keyset.cut(rows, order, 2, None)
    while last.after:
        last = keyset.cut(rows, order, 2, last.after)
    back = walk(rows, order, last.before, "before")
    assert list(reversed(back)) == pages[:-1]


def test_a_row_that_comes_meanwhile_moves_no_page(rows, a1):
    first = keyset.cut(rows, ("-pk",), 4, None)
    incident(a1, T0, title="Newest")
    second = keyset.cut(rows, ("-pk",), 4, first.after)
    assert max(row.pk for row in second.rows) < min(row.pk for row in first.rows)


def test_a_cursor_that_is_made_up_or_of_another_list_is_none(rows):
    of_another = keyset.cut(rows, ("-next_due_at", "pk"), 2, None).after
    for cursor in ("", "x", of_another, signing.Signer(salt="other").sign_object([">", [1]])):
        with pytest.raises(keyset.BadCursor):
            keyset.cut(rows, ("-pk",), 2, cursor)


def test_a_list_counts_up_to_a_bound(rows, rf, monkeypatch):
    assert keyset.page_of(rf.get("/"), rows, ("-pk",), 2).count == keyset.Count(9, is_more=False)
    monkeypatch.setattr(keyset, "MOST_COUNTED", 4)
    page = keyset.page_of(rf.get("/?q=x&cursor=nonsense"), rows, ("-pk",), 2)
    assert (str(page.count), len(page.rows)) == ("4+", 2)
    assert page.after.startswith("?q=x&cursor=")


def test_a_customers_list_leads_on_with_its_filters(client, a1, rows):
    client.force_login(a1)
    page = client.get("/incidents/", {"show": "all", "q": "Number"}).context["page"]
    assert not page.after
    for number in range(30):
        incident(a1, T0, title=f"Number 9{number}")
    page = client.get("/incidents/", {"show": "all", "q": "Number"}).context["page"]
    answer = client.get(f"/incidents/{page.after}")
    assert len(answer.context["page"].rows) == 14
    assert "More than" not in answer.content.decode()
    assert "39 incidents" in answer.content.decode()


def test_a_list_of_the_desk_counts_up_to_the_bound_and_says_so(client, g1, rows, monkeypatch):
    client.force_login(g1)
    answer = client.get("/admin/incidents/incident/", {"view": "all"})
    assert answer.context["cl"].result_count == 9
    assert "There are more" not in answer.content.decode()
    monkeypatch.setattr(keyset, "MOST_COUNTED", 5)
    answer = client.get("/admin/incidents/incident/", {"view": "all"})
    assert answer.context["cl"].result_count == 5
    assert "There are more" in answer.content.decode()
    assert "5+" in client.get("/admin/").content.decode()


def test_what_is_finished_stands_newest_first_on_the_desk(client, g1, rows):
    client.force_login(g1)
    shown = [row.pk for row in client.get("/admin/incidents/incident/?view=all").context["cl"].result_list]
    assert shown == sorted(shown, reverse=True)
