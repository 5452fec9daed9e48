"""Lists and pages make a constant number of queries: at 1, 3 and 50 rows."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from incidents import actions
from incidents.models import Shift
from incidents.sweep import sweep
from tests.conftest import T0
from tests.factories import incident


def count(call):
    with CaptureQueriesContext(connection) as captured:
        assert call().status_code == 200
    return len(captured)


@pytest.mark.parametrize("address", ["/", "/incidents/", "/status/", "/admin/", "/admin/incidents/incident/"])
def test_a_list_makes_the_same_queries_at_1_3_and_50_rows(client, a1, g1, address):
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False):
        client.force_login(g1 if address.startswith("/admin") else a1)
        counts, rows = [], 0
        for size in (1, 3, 50):
            for _ in range(size - rows):
                incident(a1, T0, title=f"Row {_}")
            rows = size
            client.get(address)
            counts.append(count(lambda: client.get(address)))
        assert counts[0] == counts[1] == counts[2], counts


def test_the_api_list_makes_the_same_queries_at_1_3_and_50_rows(a1):
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False):
        api = APIClient()
        api.force_authenticate(a1)
        counts, rows = [], 0
        for size in (1, 3, 50):
            for _ in range(size - rows):
                incident(a1, T0)
            rows = size
            counts.append(count(lambda: api.get("/api/v1/incidents/")))
        assert counts[0] == counts[1] == counts[2], counts


def test_an_incidents_page_makes_the_same_queries_at_1_3_and_50_messages(client, a1, g1):
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False):
        client.force_login(a1)
        made = incident(a1, T0)
        actions.reply(made, by=g1, now=T0, channel="portal", text="first")
        counts, rows = [], 1
        for size in (1, 3, 50):
            for _ in range(size - rows):
                actions.reply(made, by=g1, now=T0, channel="portal", text="next")
            rows = size
            client.get(made.get_absolute_url())
            counts.append(count(lambda: client.get(made.get_absolute_url())))
        assert counts[0] == counts[1] == counts[2], counts


def test_the_rota_makes_the_same_queries_at_1_3_and_50_shifts(client, m1, g1):
    client.force_login(m1)
    with time_machine.travel(T0, tick=False):
        for address in ("/admin/incidents/shift/", "/admin/"):
            Shift.objects.all().delete()
            counts, rows = [], 0
            for size in (1, 3, 50):
                Shift.objects.bulk_create(
                    Shift(
                        role="on_call",
                        person=g1,
                        backup=m1,
                        from_at=T0 + timedelta(hours=6 * n),
                        until_at=T0 + timedelta(hours=6 * n + 5),
                    )
                    for n in range(rows, size)
                )
                rows = size
                client.get(address)
                counts.append(count(lambda to=address: client.get(to)))
            assert counts[0] == counts[1] == counts[2], counts


def test_the_desk_makes_the_same_queries_however_much_was_paged(client, a1, g1, m1):
    made = incident(a1, T0)
    client.force_login(g1)
    address = f"/admin/incidents/incident/{made.pk}/change/"
    counts = []
    for minutes in (16, 41, 61):  # the breach, then the duty manager again and again
        at = T0 + timedelta(minutes=minutes)
        sweep(at)
        with time_machine.travel(at, tick=False):
            client.get(address)
            counts.append(count(lambda: client.get(address)))
    assert len(set(counts)) == 1, counts
