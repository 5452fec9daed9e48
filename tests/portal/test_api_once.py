"""`Idempotency-Key`: a request that is sent again is answered again, and carried out once."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connections

from incidents.models import Incident
from portal import api_once
from portal.models import Endpoint, IdempotentRequest
from tests.conftest import T0
from tests.factories import incident
from tests.portal.api_client import API, bearer

INCIDENTS = f"{API}incidents/"
FILING = {"title": "down", "claimed_level": "P3"}


@pytest.fixture
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


def send(client, key, data=None, address=INCIDENTS, **kwargs):
    return client.post(address, FILING if data is None else data, headers={"Idempotency-Key": key}, **kwargs)


def test_a_repeat_gets_the_answer_and_does_nothing(a1, clock):
    client = bearer(a1)
    first, again = send(client, "k-1"), send(client, "k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["ETag"] == first.headers["ETag"]
    assert Incident.objects.count() == 1
    send(client, "k-2")
    assert Incident.objects.count() == 2


def test_another_request_with_the_key_is_refused(a1, clock):
    client = bearer(a1)
    made = send(client, "k").json()
    for data, address in [
        (FILING | {"title": "other"}, INCIDENTS),
        ({"text": "x"}, f"{INCIDENTS}{made['reference']}/replies/"),
    ]:
        said = send(client, "k", data, address)
        assert (said.status_code, said.json()["type"]) == (422, "/api/v1/reference/#problem-idempotency-key")
    assert send(bearer(a1), "k").status_code == 422  # another token
    assert Incident.objects.count() == 1


def test_keys_are_each_person_s_own(a1, a2, clock):
    assert send(bearer(a1), "k").status_code == 201
    assert send(bearer(a2), "k").headers.get("Idempotency-Replayed") is None
    assert Incident.objects.count() == 2


def test_what_was_refused_may_be_sent_better(a1, clock):
    client = bearer(a1)
    assert send(client, "k", {"title": "down"}).status_code == 400
    assert send(client, "k").status_code == 201
    assert Incident.objects.count() == 1


def test_what_dies_between_act_and_answer_did_nothing_and_the_repeat_acts(a1, clock, monkeypatch):
    client = bearer(a1)
    with monkeypatch.context() as broken:
        broken.setattr(api_once, "_keep", lambda *args: 1 / 0)
        assert send(client, "k").status_code == 500
    assert Incident.objects.count() == 0
    assert IdempotentRequest.objects.get().status is None
    assert send(client, "k").status_code == 201
    assert Incident.objects.count() == 1


def test_while_the_first_runs_the_repeat_waits_its_turn(a1, clock, monkeypatch):
    def locked(*args, **kwargs):
        raise OperationalError("could not obtain lock on row")

    client = bearer(a1)
    monkeypatch.setattr(IdempotentRequest.objects.all().__class__, "select_for_update", locked)
    said = send(client, "k")
    assert (said.status_code, said.headers["Retry-After"]) == (409, "1")
    assert Incident.objects.count() == 0


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(a1, clock, key):
    said = bearer(a1).post(INCIDENTS, FILING, HTTP_IDEMPOTENCY_KEY=key)
    assert (said.status_code, list(said.json()["errors"])) == (400, ["Idempotency-Key"])
    assert Incident.objects.count() == 0


def test_a_key_lives_for_a_day(a1, clock):
    client = bearer(a1)
    send(client, "k")
    clock.shift(timedelta(hours=23, minutes=59))
    assert send(client, "k").headers["Idempotency-Replayed"] == "true"
    clock.shift(timedelta(minutes=1))
    assert "Idempotency-Replayed" not in send(client, "k").headers
    assert Incident.objects.count() == 2
    clock.shift(timedelta(days=1, seconds=1))
    from django.utils import timezone

    assert api_once.purge(timezone.now()) == 1
    assert IdempotentRequest.objects.count() == 0


def test_a_file_is_known_by_its_content(a1, clock):
    made = incident(a1, T0)
    client, address = bearer(a1), f"{INCIDENTS}{made.reference}/attachments/"
    for content, status in ((b"one", 201), (b"one", 201), (b"two", 422)):
        data = {"file": SimpleUploadedFile("a.txt", content)}
        assert send(client, "k", data, address, format="multipart").status_code == status
    assert made.attachments.count() == 1
    with made.attachments.get().file.open() as kept:
        assert kept.read() == b"one"


def test_who_may_not_see_the_object_any_more_gets_no_stored_answer(a1, clock):
    client = bearer(a1)
    made = send(client, "k").json()
    reply = {"text": "x"}, f"{INCIDENTS}{made['reference']}/replies/"
    assert send(client, "r", *reply).status_code == 201
    a1.memberships.all().delete()
    for answer in (send(client, "k"), send(client, "r", *reply)):
        assert answer.status_code in (400, 404)
        assert made["title"] not in answer.content.decode()


def test_a_secret_in_a_stored_answer_is_sealed(a2, acme, clock):
    client = bearer(a2)
    data = {"use": "webhooks", "name": "Hooks", "url": "https://hooks.example.com/x", "events": ["*"]}
    first = send(client, "k", data, f"{API}channels/")
    assert first.status_code == 201, first.content
    again = send(client, "k", data, f"{API}channels/")
    assert again.json()["secret"] == first.json()["secret"] == Endpoint.objects.get().secret
    assert first.json()["secret"].encode() not in bytes(IdempotentRequest.objects.get().body)


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_file_one_incident(a1):
    clients = [bearer(a1)]
    token = clients[0]._credentials
    for _ in range(7):
        client = clients[0].__class__(raise_request_exception=False)
        client.credentials(**token)
        clients.append(client)
    barrier, answers = threading.Barrier(8), []

    def run(client):
        try:
            barrier.wait(10)
            answer = send(client, "k")
            while answer.status_code == 500 and connections["default"].vendor == "sqlite":
                answer = send(client, "k")  # an SQLite in memory refuses whom a file lets wait
            answers.append(answer)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Incident.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    acted = [a for a in answers if a.status_code == 201 and "Idempotency-Replayed" not in a.headers]
    assert len(acted) == 1
    assert send(clients[0], "k").json()["reference"] == Incident.objects.get().reference
