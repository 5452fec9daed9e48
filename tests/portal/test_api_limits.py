"""Rate limits: 429 with Retry-After beyond them, and what is left in every answer."""

from datetime import timedelta

import pytest
import time_machine
from rest_framework.test import APIClient

from incidents.models import Alarm, AlarmSource
from incidents.models.intake import digest_of
from portal.models import ApiToken
from tests.conftest import T0
from tests.portal.api_client import API, bearer

LIMITS = {"reads": (3, 60), "writes": (2, 60), "failures": (2, 60), "alarms": (3, 60), "channels": (1, 60)}


@pytest.fixture(autouse=True)
def clock(settings):
    settings.RATE_LIMITS = LIMITS
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


def test_beyond_the_limit_it_says_when_to_come_again(a1, clock):
    client = bearer(a1)
    clock.shift(timedelta(seconds=20))
    for left in (2, 1, 0):
        answer = client.get(f"{API}incidents/")
        assert answer.status_code == 200
        assert answer.headers["RateLimit"] == f'"reads";r={left};t=40'
        assert answer.headers["RateLimit-Policy"] == '"reads";q=3;w=60'
    said = client.get(f"{API}profile/")
    assert (said.status_code, said.json()["type"]) == (429, "/api/v1/reference/#problem-too-many")
    assert (said.headers["Retry-After"], said.headers["RateLimit"]) == ("40", '"reads";r=0;t=40')
    clock.shift(timedelta(seconds=40))
    assert client.get(f"{API}profile/").status_code == 200


def test_writes_have_a_limit_of_their_own(a1):
    client = bearer(a1)
    codes = [client.post(f"{API}incidents/", {}).status_code for _ in range(3)]
    assert codes == [400, 400, 429]
    assert client.get(f"{API}incidents/").status_code == 200


def test_each_token_counts_by_itself(a1, a2):
    one, other = bearer(a1), bearer(a1)
    for _ in range(4):
        answer = one.get(f"{API}incidents/")
    assert answer.status_code == 429
    assert other.get(f"{API}incidents/").status_code == bearer(a2).get(f"{API}incidents/").status_code == 200


def test_wrong_tokens_are_counted_by_address_and_lock_nobody_out(a1):
    def guess(address):
        client = APIClient(REMOTE_ADDR=address)
        return client.get(f"{API}incidents/", headers={"Authorization": "Bearer wrong"})

    assert [guess("192.0.2.1").status_code for _ in range(4)] == [401, 401, 429, 429]
    assert "Retry-After" in guess("192.0.2.1").headers
    assert guess("192.0.2.2").status_code == 401
    client = bearer(a1)
    assert client.get(f"{API}incidents/", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_a_source_of_alarms_counts_by_itself(acme):
    source = AlarmSource.objects.create(
        name="x", kind="generic", organisation=acme, token_digest=digest_of("secret")
    )
    client = APIClient()
    send = {"headers": {"Authorization": "Bearer secret"}, "format": "json"}
    codes = [
        client.post(f"{API}alarms/generic/", {"title": "x", "fingerprint": "f"}, **send).status_code
        for _ in range(4)
    ]
    assert codes == [202, 202, 202, 429]
    assert Alarm.objects.get(source=source).count == 3
    wrong = [
        client.post(f"{API}alarms/generic/", {}, headers={"Authorization": "Bearer no"}).status_code
        for _ in range(3)
    ]
    assert wrong == [401, 401, 429]


def test_ten_thousand_alarms_a_minute_fit(settings):
    from portal import settings as own

    assert own.RATE_LIMITS["alarms"][0] >= 20_000


def test_where_the_cache_is_down_the_doors_are_open(a1, monkeypatch):
    from portal import api_limits

    class Down:
        def add(self, *args):
            return False

        def incr(self, *args):
            raise ValueError("no such key")

    monkeypatch.setattr(api_limits, "cache", Down())
    client = bearer(a1)
    assert {client.get(f"{API}incidents/").status_code for _ in range(6)} == {200}


def test_the_use_of_a_token_is_noted_at_most_once_a_minute(a1, clock, django_assert_max_num_queries):
    client = bearer(a1)
    client.get(f"{API}profile/")
    noted = ApiToken.objects.get().last_used_at
    assert noted == T0
    clock.shift(timedelta(seconds=59))
    client.get(f"{API}profile/")
    assert ApiToken.objects.get().last_used_at == T0
    clock.shift(timedelta(seconds=1))
    client.get(f"{API}profile/")
    assert ApiToken.objects.get().last_used_at == T0 + timedelta(minutes=1)
