"""The pages about channels and webhooks: who gets in, what is shown once, and what is never shown."""

from __future__ import annotations

import re
import uuid

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from incidents.defaults import plan_for
from incidents.models import SupportPlan
from portal import endpoint_verbs as verbs
from portal import outbox
from portal.message_kinds import KINDS, MessageKind
from portal.models import ChatIdentity, DeliveryAttempt, Endpoint, OutboxMessage
from portal.webhook_events import EVENTS, WebhookEvent
from tests import factories
from tests.conftest import T0

pytestmark = pytest.mark.django_db
HUSH = "hush-hush"
URL = f"https://hooks.example.com/services/{HUSH}"
PAGES = ["channel", "channel-change", "channel-rotation", "channel-removal"]


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture(autouse=True)
def _events(monkeypatch):
    for name, label in (("test.one", "The first event"), ("test.two", "The second event")):
        monkeypatch.setitem(EVENTS, name, WebhookEvent(name, "Events of the test", label))
        monkeypatch.setitem(KINDS, name, MessageKind(name, lambda _message: None, lambda _message: ""))


@pytest.fixture
def entitled(acme):
    plan_for(acme, T0)
    SupportPlan.objects.filter(organisation=acme).update(has_dedicated_channel=True)
    return acme


@pytest.fixture
def hooks(a2, acme):
    given = {"service": "webhook", "name": "Tickets", "url": URL, "events": ["test.one"]}
    return verbs.create(acme, use="webhooks", by=a2, now=T0, **given)


@pytest.fixture
def slack(a2, entitled):
    given = {"service": "slack", "name": "Ops room", "url": URL}
    secrets = {"access_token": f"xoxb-{HUSH}", "room_id": "C1", "signing_secret": f"sign-{HUSH}"}
    return verbs.create(entitled, use="channel", by=a2, now=T0, **given, **secrets)


def to(name, endpoint, *more):
    return reverse(name, args=[endpoint.key, *more])


def message(endpoint, state="sent", **more):
    return OutboxMessage.objects.create(
        **{"kind": "test.one", "channel": "webhook", "endpoint": endpoint, "state": state}
        | {"dedupe_key": str(uuid.uuid4()), "subject_key": "INC-1042", "sent_at": T0}
        | more
    )


def tried(told, answer="200 OK", is_accepted=True):
    return DeliveryAttempt.objects.create(
        message=told, at=T0, milliseconds=42, answer=answer, is_accepted=is_accepted
    )


def text_of(answer):
    return answer.content.decode()


# --- who gets in ---


@pytest.mark.parametrize("who", ["a1", "a3", "g1", "m1"])
def test_a_colleague_without_the_role_gets_403_and_changes_nothing(client, request, slack, who):
    told = message(slack)
    client.force_login(request.getfixturevalue(who))
    addresses = [to(name, slack) for name in PAGES] + [to("channel-message", slack, told.pk)]
    before = Endpoint.objects.values().get()
    for address in addresses:
        assert client.get(address).status_code == 403, address
        assert client.post(address, {"do": "off", "name": "Mine"}).status_code == 403, address
    assert Endpoint.objects.values().get() == before
    assert OutboxMessage.objects.get().state == "sent"


def test_a_stranger_s_key_is_like_one_that_was_made_up(client, b1, slack):
    told = message(slack)
    client.force_login(b1)
    shown = []
    for key in (slack.key, uuid.uuid4()):
        addresses = [reverse(name, args=[key]) for name in PAGES]
        addresses.append(reverse("channel-message", args=[key, told.pk]))
        answers = [client.get(address) for address in addresses]
        answers += [client.post(address, {"do": "off"}) for address in addresses]
        assert {answer.status_code for answer in answers} == {404}
        said = [text_of(answer).replace(str(key), "") for answer in answers]
        shown.append([re.sub(r'value="\w{64}"', "", text) for text in said])
    assert shown[0] == shown[1]
    slack.refresh_from_db()
    assert slack.is_active


def test_a_message_of_another_endpoint_is_none_of_this_one(client, a2, slack, hooks, nordwind, b1):
    theirs = verbs.create(
        nordwind, use="webhooks", service="webhook", name="N", url=URL, events=["*"], by=b1, now=T0
    )
    private = message(slack, channel="email", recipient=a2)
    client.force_login(a2)
    for told in (message(theirs), message(hooks), private):
        address = to("channel-message", slack, told.pk)
        assert client.get(address).status_code == 404
        assert client.post(address).status_code == 404
        assert OutboxMessage.objects.get(pk=told.pk).state == "sent"


def test_a_pager_has_no_page_here(client, h1):
    pager = Endpoint.objects.create(name="Pager", url=URL)
    client.force_login(h1)
    for name in PAGES:
        assert client.get(to(name, pager)).status_code == 404
    assert "Pager" not in text_of(client.get(reverse("channels")))


def test_a_removed_one_has_no_page_any_more(client, a2, hooks):
    client.force_login(a2)
    assert client.post(to("channel-removal", hooks)).url == reverse("channels")
    assert "Tickets" in text_of(client.get(reverse("channels")))  # once, in the banner
    assert "Tickets" not in text_of(client.get(reverse("channels")))
    assert {client.get(to(name, hooks)).status_code for name in PAGES} == {404}


# --- the list ---


def test_the_list_shows_what_one_manages_and_how_it_is(client, a1, a2, b1, h1, hooks, slack):
    Endpoint.objects.filter(pk=slack.pk).update(is_active=False, disabled_at=T0, disabled_reason="410 Gone")
    Endpoint.objects.filter(pk=hooks.pk).update(failing_since=T0)
    client.force_login(a2)
    shown = text_of(client.get(reverse("channels")))
    for words in ("Ops room", "Tickets", "Switched off by itself", "410 Gone", "Failing"):
        assert words in shown
    assert "The first event" in shown
    assert "https://hooks.example.com/" in shown
    client.force_login(h1)
    assert "Ops room" in text_of(client.get(reverse("channels")))
    for other in (a1, b1):
        client.force_login(other)
        shown = text_of(client.get(reverse("channels")))
        assert "Ops room" not in shown
        assert "Tickets" not in shown
    assert "Nothing is set up yet" in shown


def test_who_manages_nothing_is_told_who_does(client, a1, a3, g1):
    for person in (a1, a3, g1):
        client.force_login(person)
        assert "managers" in text_of(client.get(reverse("channels")))
        assert client.get(f"{reverse('channel-new')}?use=webhooks").status_code == 403


# --- a new one ---


def new(client, use, **data):
    return client.post(f"{reverse('channel-new')}?use={use}", {"name": "New", "url": URL} | data)


def test_a_secret_is_shown_once_and_only_on_its_own_page(client, a2, acme, hooks):
    client.force_login(a2)
    answer = new(client, "webhooks", organisation=acme.pk, events=["test.one", "test.two"])
    made = Endpoint.objects.get(name="New")
    assert (answer.status_code, answer.url) == (302, to("channel", made))
    assert made.events == ["test.one", "test.two"]
    assert made.secret not in f"{answer.headers}{answer.cookies}"
    assert made.secret not in text_of(client.get(to("channel", hooks)))
    assert client.head(to("channel", made)).status_code == 200
    first = client.get(to("channel", made))
    assert text_of(first).count(made.secret) == 1
    assert "no-store" in first.headers["Cache-Control"]
    assert made.secret not in text_of(client.get(to("channel", made)))
    assert all(made.secret not in str(session.get_decoded()) for session in Session.objects.all())


def test_a_channel_is_set_up_without_a_secret_of_ours(client, a2, entitled):
    client.force_login(a2)
    data = {"organisation": entitled.pk, "service": "teams", "hears_announcements": "on"}
    answer = new(client, "channel", **data)
    made = Endpoint.objects.get()
    assert (made.use, made.service, made.events) == ("channel", "teams", [])
    assert (made.hears_maintenance, made.hears_announcements) == (False, True)
    assert "whsec_" not in text_of(client.get(answer.url))


def test_without_the_plan_the_page_says_so_and_the_form_is_refused(client, a2, acme):
    client.force_login(a2)
    assert "not part of your support plan" in text_of(client.get(f"{reverse('channel-new')}?use=channel"))
    assert new(client, "channel", organisation=acme.pk, service="slack").status_code == 403
    assert not Endpoint.objects.exists()


def test_errors_stand_beside_their_fields(client, a2, acme):
    client.force_login(a2)
    answer = new(client, "webhooks", organisation=acme.pk, url="https://10.0.0.1/x", hears_all="")
    assert answer.status_code == 400
    assert set(answer.context["form"].errors) == {"url", "events"}
    assert "inner network" in text_of(answer)
    assert new(client, "webhooks", organisation=acme.pk, events=["no.such"]).status_code == 400
    assert not Endpoint.objects.exists()


def test_nobody_sets_up_for_an_organisation_that_is_not_theirs(client, a2, nordwind):
    factories.person("c@acme.example", "C", nordwind, "manager")
    client.force_login(a2)
    theirs = new(client, "webhooks", organisation=nordwind.pk, events=["test.one"])
    nobodys = new(client, "webhooks", organisation=987654, events=["test.one"])
    assert (theirs.status_code, nobodys.status_code) == (400, 400)
    assert theirs.context["form"].errors == nobodys.context["form"].errors
    assert not Endpoint.objects.exists()


def test_a_head_of_support_sets_up_for_any(client, h1, acme, nordwind):
    client.force_login(h1)
    assert new(client, "channel", organisation=nordwind.pk, service="mattermost").status_code == 302
    assert Endpoint.objects.get().organisation == nordwind


def test_an_unknown_use_leads_back_to_the_list(client, a2):
    client.force_login(a2)
    for use in ("", "pager", "x"):
        assert client.get(f"{reverse('channel-new')}?use={use}").url == reverse("channels")


# --- one of them ---


def test_no_page_shows_an_address_or_a_token(client, a2, slack, hooks):
    told = message(hooks, text='{"type": "test.one"}', address="https://hooks.example.com/")
    client.force_login(a2)
    addresses = [to(name, each) for name in PAGES for each in (slack, hooks)]
    addresses += [to("channel-message", hooks, told.pk), reverse("channels"), reverse("channel-format")]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        shown = f"{answer.headers}{text_of(answer)}"
        assert HUSH not in shown, address
        assert hooks.secret not in shown, address


def test_a_wrong_form_does_not_show_what_is_set(client, a2, slack):
    client.force_login(a2)
    answer = client.post(to("channel-change", slack), {"name": "", "room_id": "C1"})
    assert answer.status_code == 400
    assert HUSH not in text_of(answer)
    assert "leave it empty to keep" in text_of(answer).lower()


def test_a_change_keeps_what_is_left_empty(client, a2, slack):
    client.force_login(a2)
    data = {"name": "Night room", "room_id": "C2", "hears_maintenance": "on", "forget_signing_secret": "on"}
    assert client.post(to("channel-change", slack), data).status_code == 302
    slack.refresh_from_db()
    assert (slack.name, slack.url, slack.room_id) == ("Night room", URL, "C2")
    assert (slack.access_token, slack.signing_secret) == (f"xoxb-{HUSH}", "")
    assert slack.hears_announcements is False


def test_a_change_of_the_filter(client, a2, hooks):
    client.force_login(a2)
    shown = text_of(client.get(to("channel-change", hooks)))
    assert 'value="test.one" id="event-test.one" checked' in shown
    assert 'value="test.two" id="event-test.two">' in shown
    client.post(to("channel-change", hooks), {"name": "Tickets", "hears_all": "on", "events": ["test.one"]})
    hooks.refresh_from_db()
    assert hooks.events == ["*"]
    assert "also what is added later" in text_of(client.get(to("channel", hooks)))


def test_a_new_secret_says_that_the_old_one_signs_along(client, a2, hooks):
    client.force_login(a2)
    old = hooks.secret
    assert "24 hours" in text_of(client.get(to("channel-rotation", hooks)))
    assert Endpoint.objects.get().secret == old
    assert client.post(to("channel-rotation", hooks)).url == to("channel", hooks)
    hooks.refresh_from_db()
    assert hooks.signing_secrets(T0) == [hooks.secret, old]
    shown = text_of(client.get(to("channel", hooks)))
    assert hooks.secret in shown
    assert old not in shown
    assert hooks.secret not in text_of(client.get(to("channel", hooks)))
    assert "still signs along" in text_of(client.get(to("channel-rotation", hooks)))


def test_slack_has_no_secret_to_renew(client, a2, slack):
    client.force_login(a2)
    assert client.post(to("channel-rotation", slack)).status_code == 409


def test_the_buttons(client, a2, hooks):
    client.force_login(a2)
    page = to("channel", hooks)
    assert client.post(page, {"do": "test"}).status_code == 302
    assert OutboxMessage.objects.get().kind == "endpoint_test"
    assert client.post(page, {"do": "off"}).status_code == 302
    refused = client.post(page, {"do": "test"})
    assert (refused.status_code, OutboxMessage.objects.count()) == (409, 1)
    assert "Switch it on first" in text_of(refused)
    assert "Switched off" in text_of(client.get(page))
    assert client.post(page, {"do": "on"}).status_code == 302
    assert client.post(page, {"do": "on"}).status_code == 409
    assert client.post(page, {"do": "explode"}).status_code == 400


def test_who_is_who_is_kept_by_managers_and_of_their_own_people(client, a1, a2, a3, b1, g1, slack):
    client.force_login(a2)
    page = to("channel", slack)
    shown = client.get(page)
    assert set(shown.context["person_form"].fields["person"].queryset) == {a1, a2}
    assert f"/api/v1/channels/slack/{slack.key}/" in text_of(shown)
    told = []
    for person in (a3.pk, b1.pk, g1.pk, 987654):
        answer = client.post(page, {"do": "map", "external_id": "U1", "person": person})
        assert answer.status_code == 400
        told.append(answer.context["person_form"].errors)
    assert all(errors == told[0] for errors in told)
    assert "canary" not in text_of(answer)
    data = {"do": "map", "external_id": "U1", "external_name": "ada", "person": a1.pk}
    assert client.post(page, data).status_code == 302
    assert "Ada One" in text_of(client.get(page))
    assert client.post(page, data).status_code == 400
    entry = ChatIdentity.objects.get()
    assert client.post(page, {"do": "unmap", "identity": entry.pk}).status_code == 302
    assert not ChatIdentity.objects.exists()


def test_an_entry_of_another_channel_is_not_there(client, a2, b1, h1, nordwind, slack):
    theirs = verbs.create(
        nordwind, use="channel", service="slack", name="N", url=URL, by=h1, now=T0, signing_secret="s"
    )
    entry = verbs.map_person(theirs, external_id="U1", person=b1, by=b1, now=T0)
    client.force_login(a2)
    for number in (entry.pk, 987654, "x", "9" * 30):
        answer = client.post(to("channel", slack), {"do": "unmap", "identity": number})
        assert answer.status_code == 404
    assert ChatIdentity.objects.get() == entry


# --- the log ---


def test_the_log_says_what_became_of_each(client, a2, hooks):
    accepted, failed = message(hooks), message(hooks, "set_aside", attempts=2, unreached_at=T0)
    tried(accepted)
    tried(failed, "503 Service Unavailable", False)
    tried(failed, "410 Gone", False)
    message(hooks, "dropped", state_reason="replaced by a newer message")
    message(hooks, "queued", attempts=1, subject_key="MW-7")
    client.force_login(a2)
    shown = text_of(client.get(to("channel", hooks)))
    for words in (
        "Accepted",
        "Not accepted",
        "Not sent",
        "Failed so far",
        "410 Gone",
        "42 ms",
        "The first event",
    ):
        assert words in shown
    assert 'href="/incidents/INC-1042/"' in shown
    assert 'href="/maintenance/MW-7/"' in shown
    assert "13:00 UTC+3" in shown
    failures = client.get(to("channel", hooks), {"show": "failed"})
    assert [entry.state.name for entry in failures.context["log"]] == ["retried", "failed"]


def test_the_log_is_paged_by_what_came_before(client, a2, hooks):
    made = [message(hooks) for _ in range(30)]
    client.force_login(a2)
    first = client.get(to("channel", hooks))
    assert [entry.message for entry in first.context["log"]] == made[:4:-1]
    second = client.get(to("channel", hooks), {"before": first.context["older"]})
    assert [entry.message for entry in second.context["log"]] == made[4::-1]
    assert second.context["older"] is None
    for odd in ("x", "-1", "9" * 30, "²"):
        assert client.get(to("channel", hooks), {"before": odd}).status_code == 200


def test_one_message_and_send_again(client, a2, hooks):
    told = message(hooks, text='{"type": "test.one"}', headers={"webhook-id": "abc"}, attempts=1)
    tried(told)
    client.force_login(a2)
    address = to("channel-message", hooks, told.pk)
    shown = text_of(client.get(address))
    for words in ("&quot;test.one&quot;", "webhook-id", "200 OK", "Send again"):
        assert words in shown
    assert client.post(address).status_code == 302
    again = OutboxMessage.objects.get()
    assert (again.state, again.message_id) == ("queued", told.message_id)
    assert client.post(address).status_code == 409
    assert "200 OK" in text_of(client.get(address))  # what was tried before stays


def test_a_text_that_was_made_internal_since_is_not_shown_to_the_customer(client, a2, h1, hooks, monkeypatch):
    told = message(hooks, text="the secret words")
    kind = MessageKind("test.one", lambda _message: None, lambda _message: "its text has been made internal")
    monkeypatch.setitem(KINDS, "test.one", kind)
    client.force_login(a2)
    shown = text_of(client.get(to("channel-message", hooks, told.pk)))
    assert "the secret words" not in shown
    assert "made internal" in shown
    monkeypatch.setitem(KINDS, "test.one", MessageKind("test.one", lambda _message: None, what_is_gone))
    shown = text_of(client.get(to("channel-message", hooks, told.pk)))
    assert "the secret words" not in shown
    client.force_login(h1)
    assert "the secret words" in text_of(client.get(to("channel-message", hooks, told.pk)))


def what_is_gone(_message):
    raise OutboxMessage.DoesNotExist


def test_a_test_arrives_is_seen_in_the_log_and_goes_again(client, a2, acme, receiver):
    """To a receiver that still checks by the old secret."""
    sink = receiver(of=acme, use="webhooks")
    sink.secret = sink.endpoint.secret
    page = to("channel", sink.endpoint)
    client.force_login(a2)
    client.post(to("channel-rotation", sink.endpoint))
    client.post(page, {"do": "test"})
    outbox.sweep(T0)
    shown = text_of(client.get(page))
    for words in ("Works", "Accepted", "204 No Content"):
        assert words in shown
    told = OutboxMessage.objects.get()
    client.post(to("channel-message", sink.endpoint, told.pk))
    outbox.sweep(T0)
    first, second = sink.received()
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert len(first["headers"]["webhook-signature"].split()) == 2
    assert text_of(client.get(page)).count("204 No Content") == 2


def queries(client, address):
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_list_and_log_cost_the_same_however_long_they_are(client, a2, a1, acme, hooks, slack):
    client.force_login(a2)
    tried(message(hooks))
    verbs.map_person(slack, external_id="U0", person=a1, by=a2, now=T0)
    addresses = [reverse("channels"), to("channel", hooks), to("channel", slack)]
    for address in addresses:
        client.get(address)
    before = [queries(client, address) for address in addresses]
    for number in range(15):
        given = {"service": "webhook", "name": f"Nr {number}", "url": URL, "events": ["*"]}
        verbs.create(acme, use="webhooks", by=a2, now=T0, **given)
        told = message(hooks)
        tried(told)
        tried(told)
        verbs.map_person(slack, external_id=f"U1{number}", person=a1, by=a2, now=T0)
    assert [queries(client, address) for address in addresses] == before


# --- what receivers need to know ---


def test_the_format_names_every_event(client, a1):
    client.force_login(a1)
    shown = text_of(client.get(reverse("channel-format")))
    for name in EVENTS:
        assert f"<code>{name}</code>" in shown
    for words in ("webhook-signature", "3 days", "410", "24 hours", "INC-1042"):
        assert words in shown


def test_the_menu_leads_customers_there(client, a1, g1):
    for person, is_there in ((a1, True), (g1, False)):
        client.force_login(person)
        assert ('href="/channels/"' in text_of(client.get(reverse("profile")))) is is_there
