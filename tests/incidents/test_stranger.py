"""The stranger test walks every address of the product: a new one is covered the day it appears."""

import re
from contextlib import contextmanager

import pytest
import time_machine
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from incidents import actions
from tests.conftest import T0
from tests.factories import CANARY, article, incident

# Addresses that carry no customer's object, or are the sign-in's own, with the reason.
WITHOUT_OBJECT = re.compile(r"^/(accounts/|admin/|healthz$|readyz$|metrics$|api/v1/(schema|reference)/$)")


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=True):
        yield


METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def patterns(resolver, prefix=""):
    for entry in resolver.url_patterns:
        text = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, text)
        elif isinstance(entry, URLPattern):
            yield text


def addresses(reference, attachment, slug, organisation):
    """Every address that names an object, filled with the given one's values."""
    values = {
        "<reference:reference>": reference,
        "<int:pk>": str(attachment),
        "<slug:slug>": slug,
        "(?P<reference>INC-[1-9][0-9]{0,17})": reference,
    }
    for text in patterns(get_resolver()):
        filled = text
        for name, value in values.items():
            filled = filled.replace(name, value)
        kind = organisation if "organisations/" in filled else slug
        filled = re.sub(r"\(\?P<slug>[^)]*\)", kind, filled)
        if "(?P<format>" in filled or WITHOUT_OBJECT.match("/" + plain(filled)):
            continue
        yield "/" + plain(filled), filled != text


class Writes(list):
    """The statements that write: none may come of what was refused. Sessions do not count."""

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and "django_session" not in sql:
            self.append(sql)
        return execute(sql, params, many, context)

    @classmethod
    @contextmanager
    def noted(cls):
        with connection.execute_wrapper(writes := cls()):
            yield writes


def plain(text):
    return text.replace("^", "").replace("$", "").replace(r"\.", ".").replace("\\Z", "")


@pytest.fixture
def foreign(b1, g1):
    """Nordwind's incident, with a file, a note and an article of its own; each carries the canary."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    upload = SimpleUploadedFile(f"{CANARY}.txt", CANARY.encode())
    made = incident(b1, T0, title=f"{CANARY} down", description=CANARY, files=[upload])
    actions.add_note(made, by=g1, now=T0, channel="admin", text=f"internal {CANARY}")
    article(g1, T0, f"how-{CANARY}", organisation=made.organisation)
    return made


def walk(foreign):
    return list(
        addresses(foreign.reference, foreign.attachments.get().pk, f"how-{CANARY}", foreign.organisation.slug)
    )


def test_the_walk_finds_the_addresses(foreign):
    found = [address for address, has_object in walk(foreign) if has_object]
    assert any(address.endswith("/level-validation/") for address in found)
    assert any("/attachments/" in address for address in found)
    assert len(found) > 35


def test_a_stranger_gets_404_everywhere_and_never_the_canary(client, a1, foreign):
    client.force_login(a1)
    api = APIClient()
    api.force_authenticate(a1)
    before = list(foreign.events.values_list("pk", flat=True))
    for address, has_object in walk(foreign):
        for method in METHODS:
            answer = getattr(api if "/api/" in address else client, method)(address)
            assert CANARY.encode() not in answer.content, (method, address)
            if has_object and method in ("get", "head"):
                assert answer.status_code in (404, 405), (method, address, answer.status_code)
            if has_object and method in ("post", "put", "patch", "delete"):
                assert answer.status_code in (400, 403, 404, 405), (method, address, answer.status_code)
    assert list(foreign.events.values_list("pk", flat=True)) == before


def test_an_anonymous_visitor_gets_the_same_for_real_and_invented(client, foreign):
    invented = foreign.reference[:-1] + "99999"
    for address, has_object in walk(foreign):
        if not has_object or foreign.reference not in address:
            continue
        real, made_up = client.get(address), client.get(address.replace(foreign.reference, invented))
        assert real.status_code == made_up.status_code, address
        if "/api/" in address:
            assert real.status_code in (401, 405)
        else:
            assert real.status_code == 302
            assert real.url.replace(foreign.reference, invented) == made_up.url


def test_search_lists_and_status_of_a_stranger_stay_silent(client, a1, foreign):
    client.force_login(a1)
    for address in ("/", "/incidents/?show=all", f"/incidents/?show=all&q={CANARY}", "/status/", "/sla/"):
        assert CANARY not in client.get(address).content.decode().replace(f"q={CANARY}", "").replace(
            f'value="{CANARY}"', ""
        ).replace(f"Search: {CANARY}", ""), address


def test_a_viewer_reads_but_does_not_write(client, a1, a3):
    made = incident(a1, T0)
    client.force_login(a3)
    assert client.get(made.get_absolute_url()).status_code == 200
    answer = client.post(f"{made.get_absolute_url()}replies/", {"text": "hello"})
    assert (answer.status_code, made.messages.count()) == (403, 0)


def test_a_customer_never_reads_a_note(client, a1, g1):
    made = incident(a1, T0)
    actions.add_note(made, by=g1, now=T0, channel="admin", text=f"internal {CANARY}")
    client.force_login(a1)
    api = APIClient()
    api.force_authenticate(a1)
    for address in ("", "timeline/", "now/"):
        assert CANARY not in client.get(made.get_absolute_url() + address).content.decode()
    for noun in ("", "events/", "replies/", "notes/"):
        assert CANARY not in api.get(f"/api/v1/incidents/{made.reference}/{noun}").content.decode()
