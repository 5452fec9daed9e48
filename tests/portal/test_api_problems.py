"""Every refusal is problem details with an address of its kind, and an error of ours tells nothing but an id."""

import logging

import pytest
import time_machine
from django.urls import reverse

from incidents.models import Incident
from portal.api_problems import KINDS
from tests.conftest import T0
from tests.factories import incident
from tests.portal.api_client import API, bearer


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=False):
        yield


def check(answer, status):
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), (
        answer.content
    )
    said = answer.json()
    assert said["type"] == f"/api/v1/reference/#problem-{KINDS[status][0]}"
    assert (said["status"], bool(said["title"]), bool(said["detail"])) == (status, True, True)
    return said


def test_each_refusal_has_its_kind(a1, a3, client, settings):
    made = incident(a1, T0)
    api, address = bearer(a1), f"{API}incidents/{made.reference}/"
    check(api.post(f"{API}incidents/", {}), 400)
    check(client.get(address), 401)
    check(bearer(a3).post(f"{address}replies/", {"text": "x"}), 403)
    check(api.get(f"{API}incidents/INC-9/"), 404)
    check(api.delete(address), 405)
    check(api.get(address, headers={"Accept": "text/html"}), 406)
    check(api.post(f"{address}replies/", "x", content_type="text/plain"), 415)
    check(api.post(f"{address}confirmation/", {}), 409)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    check(api.post(f"{address}replies/", {"text": "x" * 99}), 413)


@pytest.mark.parametrize(
    "address", ["/api/v1/no-such/", "/api/v1/incidents/INC-1/no/such/", "/api/v2/", "/api/v1/"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_is_none_says_so_in_the_same_form(client, address, method):
    check(getattr(client, method)(address), 404)


def test_an_address_without_its_slash_is_still_led_to_it(client):
    answer = client.get("/api/v1/incidents")
    assert (answer.status_code, answer.url) == (301, "/api/v1/incidents/")


def test_an_error_of_ours_tells_an_id_that_the_log_knows(a1, monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("secret words")

    monkeypatch.setattr(Incident.objects.__class__, "visible_to", broken)
    with caplog.at_level(logging.ERROR):
        said = check(bearer(a1).get(f"{API}incidents/"), 500)
    assert "secret words" not in str(said)
    assert said["request_id"] in caplog.text
    assert "secret words" in caplog.text


def test_each_kind_is_explained_in_the_reference(client, a1):
    client.force_login(a1)
    page = client.get(reverse("api-reference")).content.decode()
    for word, _title in KINDS.values():
        assert f'id="problem-{word}"' in page
