"""What managers do with their organisation's channel and webhooks, verb by verb: who may, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents.defaults import plan_for
from incidents.models import SupportPlan
from portal import endpoint_verbs as verbs
from portal import endpoint_words, outbox
from portal.message_kinds import KINDS, MessageKind
from portal.models import ChatThread, Endpoint, OutboxMessage
from portal.verbs import Refused
from portal.webhook_events import EVENTS, WebhookEvent
from tests import factories
from tests.conftest import T0

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/services/hush-hush"
INSIDE = [
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fc00::1]/",
    "https://localhost/",
    "https://localhost./",
    "https://hooks.example.com./",
    "https://hooks.example。com/",
    "https://me:pw@hooks.example.com/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:25/",
    "https://hooks.example.com:5432/",
    "https://hooks.example.com:6379/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "http://hooks.example.com/",
]


@pytest.fixture(autouse=True)
def _events(monkeypatch):
    """Two events, and none of those that the rooms have made known."""
    for name in list(EVENTS):
        monkeypatch.delitem(EVENTS, name)
    for name, label in (("test.one", "One"), ("test.two", "Two")):
        monkeypatch.setitem(EVENTS, name, WebhookEvent(name, "Tests", label))
        monkeypatch.setitem(KINDS, name, MessageKind(name, lambda _message: None, lambda _message: ""))


@pytest.fixture
def entitled(acme):
    plan_for(acme, T0)
    SupportPlan.objects.filter(organisation=acme).update(has_dedicated_channel=True)
    return acme


def webhooks(by, organisation, **more):
    given = {"service": "webhook", "name": "Tickets", "url": URL, "events": ["*"]} | more
    return verbs.create(organisation, use="webhooks", by=by, now=T0, **given)


def channel(by, organisation, service="slack", **more):
    given = {"service": service, "name": "Room", "url": URL} | more
    return verbs.create(organisation, use="channel", by=by, now=T0, **given)


def message(endpoint, state="sent", **more):
    return OutboxMessage.objects.create(
        **{"kind": "test.one", "channel": "webhook", "endpoint": endpoint, "state": state}
        | {"dedupe_key": f"{endpoint.pk}-{OutboxMessage.objects.count()}"}
        | more
    )


def refused(verb, *args, **given) -> Refused:
    with pytest.raises(Refused) as caught:
        verb(*args, **given)
    return caught.value


# --- who may ---


def everything(endpoint, by, person):
    """Each verb upon the endpoint, as calls."""
    about = {"by": by, "now": T0}
    identity = endpoint.identities.create(external_id="U9", person=person, created_at=T0)
    return {
        "change": lambda: verbs.change(endpoint, name="Mine", **about),
        "rotate": lambda: verbs.rotate(endpoint, **about),
        "switch_on": lambda: verbs.switch_on(endpoint, **about),
        "switch_off": lambda: verbs.switch_off(endpoint, **about),
        "remove": lambda: verbs.remove(endpoint, **about),
        "send_test": lambda: verbs.send_test(endpoint, **about),
        "replay": lambda: verbs.replay(message(endpoint), **about),
        "map_person": lambda: verbs.map_person(endpoint, external_id="U1", person=person, **about),
        "unmap_person": lambda: verbs.unmap_person(endpoint, identity, **about),
    }


@pytest.mark.parametrize("who", ["a1", "a3", "b1", "g1", "m1"])
def test_only_managers_and_heads_of_support_do_anything(request, entitled, a1, a2, who):
    by = request.getfixturevalue(who)
    made = channel(a2, entitled)
    before = Endpoint.objects.values().get()
    for name, verb in everything(made, by, a1).items():
        assert refused(verb).kind == "permission", name
    assert refused(webhooks, by, entitled).kind == "permission"
    assert Endpoint.objects.values().get() == before
    assert not OutboxMessage.objects.filter(state="queued").exists()


@pytest.mark.parametrize("who", ["a2", "h1", "root"])
def test_managers_and_heads_of_support_do_all_of_it(request, entitled, a1, a2, who):
    by = request.getfixturevalue(who)
    made = channel(a2, entitled, "webhook")
    found = everything(made, by, a1)
    for name in ("change", "rotate", "send_test", "replay", "unmap_person", "switch_off", "switch_on"):
        found[name]()
    assert made.history.first().history_user == by
    found["remove"]()
    assert webhooks(by, entitled).created_by == by


def test_a_pager_is_looked_after_on_the_desk(a2, h1):
    pager = Endpoint.objects.create(name="Pager", url=URL, use="pager")
    for by in (a2, h1):
        assert refused(verbs.switch_off, pager, by=by, now=T0).kind == "permission"


# --- what is made ---


def test_webhooks_need_no_plan_and_a_channel_does(acme, a2, h1):
    assert webhooks(a2, acme).secret.startswith("whsec_")
    assert refused(channel, a2, acme).kind == "permission"
    assert channel(h1, acme).organisation == acme  # staff set one up before the contract is in


def test_a_channel_that_left_the_plan_is_not_switched_on(entitled, a2, h1):
    made = channel(a2, entitled)
    verbs.switch_off(made, by=a2, now=T0)
    SupportPlan.objects.update(has_dedicated_channel=False)
    assert refused(verbs.switch_on, made, by=a2, now=T0).kind == "permission"
    verbs.switch_on(made, by=h1, now=T0)


def test_one_channel_and_twenty_of_all(entitled, nordwind, a2, b1):
    made = channel(a2, entitled)
    assert "already" in refused(channel, a2, entitled).reason
    for number in range(19):
        webhooks(a2, entitled, name=f"Nr {number}")
    assert "20" in refused(webhooks, a2, entitled).reason
    webhooks(b1, nordwind)  # the others' are not counted
    verbs.remove(made, by=a2, now=T0)
    channel(a2, entitled)


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_inside_is_refused_beside_its_field(acme, a2, url):
    said = refused(webhooks, a2, acme, url=url)
    assert list(said.errors) == ["url"]
    made = webhooks(a2, acme)
    assert list(refused(verbs.change, made, name="x", url=url, events=["*"], by=a2, now=T0).errors) == ["url"]
    assert Endpoint.objects.get().url == URL


def test_each_wrong_field_is_named_at_once(entitled, a2):
    said = refused(channel, a2, entitled, name=" ", url="http://x", signing_secret="two\nwords")
    assert set(said.errors) == {"name", "url", "signing_secret"}
    assert refused(channel, a2, entitled, access_token="xoxb-1").field == "room_id"
    assert refused(channel, a2, entitled, signing_secret="a\r\nX: y").field == "signing_secret"
    assert refused(channel, a2, entitled, "teams", access_token="t", room_id="r").field == "access_token"
    assert refused(webhooks, a2, entitled, events=[]).field == "events"
    assert refused(webhooks, a2, entitled, events=["test.one", "no.such"]).field == "events"
    for service in ("apprise", "nonsense"):
        assert refused(channel, a2, entitled, service).field == "service"
    assert refused(webhooks, a2, entitled, service="slack").field == "service"
    assert refused(verbs.create, entitled, use="pager", service="webhook", name="x", url=URL, by=a2, now=T0)
    assert not Endpoint.objects.exists()


def test_a_filter_is_kept_in_one_form(acme, a2):
    assert webhooks(a2, acme, events=["test.two", "test.one"]).events == ["test.one", "test.two"]
    assert webhooks(a2, acme, events=["test.two", "*"]).events == ["*"]


def test_a_channel_has_no_filter_of_events(entitled, a2):
    made = channel(a2, entitled, events=["*"], hears_maintenance=False)
    assert (made.events, made.hears_maintenance, made.hears_announcements) == ([], False, True)


# --- what is changed ---


def test_an_empty_secret_is_kept_and_forgotten_only_when_told(entitled, a2):
    made = channel(a2, entitled, access_token="xoxb-1", room_id="C1", signing_secret="sign")
    verbs.change(made, name="Other", room_id="C1", by=a2, now=T0)
    made.refresh_from_db()
    assert (made.name, made.url, made.access_token, made.signing_secret) == ("Other", URL, "xoxb-1", "sign")
    verbs.change(made, name="Other", room_id="", forget=["access_token"], by=a2, now=T0)
    made.refresh_from_db()
    assert (made.access_token, made.signing_secret) == ("", "sign")


def test_threads_of_another_room_are_forgotten(entitled, a2):
    made = channel(a2, entitled, access_token="xoxb-1", room_id="C1")
    ChatThread.objects.create(endpoint=made, subject_key="INC-1", thread_id="1.1", created_at=T0)
    verbs.change(made, name="Renamed", room_id="C1", by=a2, now=T0)
    assert made.threads.exists()
    verbs.change(made, name="Renamed", room_id="C2", by=a2, now=T0)
    assert not made.threads.exists()


def test_no_secret_is_in_the_history(entitled, a2):
    made = channel(a2, entitled, access_token="xoxb-hush-hush", room_id="C1", signing_secret="sign-hush-hush")
    verbs.change(made, name="Room", url=f"{URL}-2", room_id="C1", signing_secret="hush-hush", by=a2, now=T0)
    rows = list(made.history.values())
    assert len(rows) == 2
    assert "hush-hush" not in str(rows)
    assert made.secret not in str(rows)
    assert rows[0]["history_change_reason"] == "address, signing secret"


def test_a_rotated_secret_signs_along_for_a_day(acme, entitled, a2):
    made = webhooks(a2, acme)
    first = made.secret
    second = verbs.rotate(made, by=a2, now=T0)
    made.refresh_from_db()
    assert made.signing_secrets(T0 + timedelta(hours=23)) == [second, first]
    assert made.signing_secrets(T0 + timedelta(hours=24)) == [second]
    assert refused(verbs.rotate, channel(a2, entitled), by=a2, now=T0).kind == "state"


def test_switched_on_it_is_forgiven_what_failed(acme, a2):
    made = webhooks(a2, acme)
    gone = {"is_active": False, "disabled_at": T0, "disabled_reason": "410 Gone", "failing_since": T0}
    Endpoint.objects.update(**gone)
    verbs.switch_on(made, by=a2, now=T0)
    made.refresh_from_db()
    assert (made.is_active, made.disabled_at, made.disabled_reason) == (True, None, "")
    assert made.failing_since is None
    assert refused(verbs.switch_on, made, by=a2, now=T0).kind == "state"


def test_removed_it_keeps_its_log_and_no_secret(entitled, a1, a2):
    made = channel(a2, entitled, access_token="xoxb-1", room_id="C1", signing_secret="sign")
    verbs.map_person(made, external_id="U1", person=a1, by=a2, now=T0)
    told = message(made)
    verbs.remove(made, by=a2, now=T0)
    made.refresh_from_db()
    assert (made.removed_at, made.is_active, made.url, made.secret) == (T0, False, "", "")
    assert (made.access_token, made.signing_secret, made.identities.count()) == ("", "", 0)
    assert not Endpoint.objects.visible_to(a2).exists()
    assert OutboxMessage.objects.get() == told
    for name in ("change", "rotate", "switch_on", "send_test", "replay"):
        assert refused(everything(made, a2, a1)[name]).kind == "state", name
        made.identities.all().delete()


# --- what is sent ---


def test_a_test_goes_to_what_is_switched_on_once_a_second(acme, a2):
    made = webhooks(a2, acme)
    verbs.send_test(made, by=a2, now=T0)
    verbs.send_test(made, by=a2, now=T0 + timedelta(milliseconds=300))
    told = OutboxMessage.objects.get()
    assert (told.kind, told.channel, told.endpoint, told.recipient) == (
        "endpoint_test",
        "webhook",
        made,
        None,
    )
    verbs.switch_off(made, by=a2, now=T0)
    assert refused(verbs.send_test, made, by=a2, now=T0 + timedelta(minutes=1)).kind == "state"
    assert OutboxMessage.objects.count() == 1


@pytest.mark.parametrize("state", ["sent", "dropped", "set_aside", "queued"])
def test_what_has_ended_or_failed_so_far_goes_again_under_the_same_id(acme, a2, state):
    told = message(webhooks(a2, acme), state, attempts=9)
    verbs.replay(told, by=a2, now=T0)
    again = OutboxMessage.objects.get()
    assert (again.pk, again.message_id, again.state, again.attempts) == (
        told.pk,
        told.message_id,
        "queued",
        0,
    )


def test_what_is_on_its_way_does_not_go_again(acme, a2, b1):
    made = webhooks(a2, acme)
    for state in ("queued", "claimed"):
        assert refused(verbs.replay, message(made, state), by=a2, now=T0).kind == "state"
    mail = message(made, channel="email", recipient=a2)
    assert refused(verbs.replay, mail, by=a2, now=T0).kind == "state"
    assert refused(verbs.replay, message(made), by=b1, now=T0).kind == "permission"
    verbs.switch_off(made, by=a2, now=T0)
    assert refused(verbs.replay, message(made), by=a2, now=T0).kind == "state"


def test_the_log_holds_no_mail_that_would_fall_back_to_it(acme, a2):
    """Such a mail names the endpoint, too, and is one person's."""
    made = webhooks(a2, acme)
    message(made, channel="email", recipient=a2, subject="private")
    told = message(made)
    assert list(endpoint_words.log_of(made)) == [told]
    assert outbox.replay(told, now=T0)


# --- who is who ---


def test_a_person_of_the_channel_writes_as_one_who_may(entitled, nordwind, a1, a2, a3, b1, g1):
    made = channel(a2, entitled)
    found = verbs.map_person(made, external_id=" U1 ", external_name="ada\n👋", person=a1, by=a2, now=T0)
    assert (found.external_id, found.external_name, found.created_by) == ("U1", "ada 👋", a2)
    gone = factories.person("gone@acme.example", "Gone", entitled, "member")
    gone.is_active = False
    gone.save()
    for person in (a3, b1, g1, gone):
        said = refused(verbs.map_person, made, external_id="U2", person=person, by=a2, now=T0)
        assert said.field == "person"
    for wrong in ("", "two words", "U1", "x" * 121):
        said = refused(verbs.map_person, made, external_id=wrong, person=a2, by=a2, now=T0)
        assert said.field == "external_id"
    assert made.identities.count() == 1


def test_nobody_answers_from_teams_or_to_webhooks(entitled, a1, a2):
    for made in (channel(a2, entitled, "teams"), webhooks(a2, entitled)):
        said = refused(verbs.map_person, made, external_id="U1", person=a1, by=a2, now=T0)
        assert said.kind == "state"


def test_an_entry_is_removed_from_its_own_channel_only(entitled, nordwind, a1, a2, b1, h1):
    mine, theirs = channel(a2, entitled), channel(h1, nordwind)
    entry = verbs.map_person(theirs, external_id="U1", person=b1, by=b1, now=T0)
    assert refused(verbs.unmap_person, mine, entry, by=a2, now=T0).kind == "state"
    assert refused(verbs.unmap_person, theirs, entry, by=a2, now=T0).kind == "permission"
    verbs.unmap_person(theirs, entry, by=b1, now=T0)
    assert not theirs.identities.exists()
