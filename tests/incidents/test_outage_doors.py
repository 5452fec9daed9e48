"""An outage through the desk and the API; and three organisations, of which none reads a byte of another."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.core import mail as django_mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from incidents import actions
from incidents.models import Incident, StatusUpdate
from incidents.outage_words import Words
from incidents.sweep import sweep
from portal import outbox
from portal.channels import webhook
from portal.message_kinds import KINDS
from portal.models import Membership, Organisation, OutboxMessage, Service, ServiceSubscription
from tests import factories
from tests.conftest import T0
from tests.factories import incident, organisation, person

CANARIES = {"acme": "kanarya-acme", "nordwind": "kanarya-nord", "zenit": "kanarya-zen"}


def at(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def _soon_after_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(at(10), tick=False):
        yield


@pytest.fixture
def world(acme, nordwind, g1):
    """Three organisations of which everything is a canary, each with its incident and a private service."""
    found = {}
    for slug, of in {"acme": acme, "nordwind": nordwind, "zenit": organisation("Zenit")}.items():
        canary = CANARIES[slug]
        Organisation.objects.filter(pk=of.pk).update(name=f"{slug.title()} {canary}", slug=f"{slug}-{canary}")
        of.refresh_from_db()
        one = person(f"p@{canary}.example", f"Person {canary}", of, "manager", is_p1_contact=True)
        own = Service.objects.create(name=f"Service {canary}", slug=f"s-{canary}")
        ServiceSubscription.objects.create(organisation=of, service=own)
        made = incident(one, T0, title=f"{canary} down", description=canary)
        found[slug] = (of, one, made)
    parent, _outcome = actions.open_parent(
        [made for _of, _one, made in found.values()],
        by=g1,
        now=at(1),
        channel="admin",
        title="Common outage",
        level="P1",
        services=Service.objects.filter(slug__in=["inference-api", f"s-{CANARIES['nordwind']}"]),
    )
    return found, parent


def everything(found, parent):
    """A text that names everybody in every way."""
    named = [f"{of.name}, {one.name} ({one.email}), {made.reference}" for of, one, made in found.values()]
    services = [f"Service {canary}" for canary in CANARIES.values()]
    return f"{parent.reference}: {'; '.join(named)}. {', '.join(services)}."


# --- nobody reads a byte of another ---


def others_of(slug, found, parent):
    """What the organisation must never read: the others' canaries, references, and the parent's."""
    words = [canary for name, canary in CANARIES.items() if name != slug]
    words += [made.reference for name, (_of, _one, made) in found.items() if name != slug]
    return [*words, parent.reference, "Common outage"]


def test_three_organisations_one_outage_and_not_one_byte_of_another(world, g1, client):
    found, parent = world
    for slug, (of, _one, _made) in found.items():
        factories.channel(of, name=f"Room {CANARIES[slug]}", url=f"https://{slug}.example/h")
    text = everything(found, parent)
    written = {"summary": text, "impact": text.lower(), "next_steps": text.upper()}
    additions = {made.pk: f"only {CANARIES[slug]}: {text}" for slug, (_of, _one, made) in found.items()}
    actions.publish_for_all(
        parent, by=g1, now=at(5), channel="admin", condition="in_progress", additions=additions, **written
    )
    actions.restore_all(parent, by=g1, now=at(6), channel="admin", text=text)
    actions.resolve_all(parent, by=g1, now=at(7), channel="admin", cause=text, remedy=text)
    outbox.sweep(at(8))
    sweep(at(9))
    for slug, (of, one, made) in found.items():
        shown = "\n".join(read_by(client, of, one, made))
        assert CANARIES[slug] in shown
        for words in others_of(slug, found, parent):
            assert words.lower() not in shown.lower(), (slug, words)
        assert made.reference in the_text(made)
        client.force_login(one)
        for address in (parent.get_absolute_url(), f"/api/v1/incidents/{parent.reference}/"):
            assert client.get(address).status_code == 404
        assert client.get(f"/api/v1/incidents/{parent.reference}/children/").status_code == 404
        assert client.get(f"/api/v1/incidents/{made.reference}/children/").status_code == 403
        assert client.post(f"/api/v1/incidents/{made.reference}/children/").status_code == 403


def the_text(made):
    return made.status_updates.get().summary


def read_by(client, of, one, made):
    """Every byte that the organisation can read: mails, webhooks, pages, API."""
    for mail in django_mail.outbox:
        if mail.to == [one.email]:
            yield str(mail.message())
    for message in OutboxMessage.objects.filter(recipient=one) | OutboxMessage.objects.filter(
        endpoint__organisation=of
    ):
        yield f"{message.subject} {message.text} {message.html} {message.facts}"
    client.force_login(one)
    pages = ["/", "/incidents/", "/incidents/?show=all", "/status/", made.get_absolute_url()]
    pages += [
        f"/api/v1/incidents/{made.reference}/{noun}"
        for noun in ("", "events/", "status-updates/", "replies/")
    ]
    for page in [*pages, "/api/v1/incidents/", "/api/v1/services/", "/api/v1/organisations/"]:
        answer = client.get(page)
        assert answer.status_code == 200, page
        yield answer.content.decode()


def test_a_webhook_carries_the_organisations_own_words(world, g1, monkeypatch):
    found, parent = world
    of, _one, _made = found["acme"]
    room = factories.channel(of)
    actions.publish_for_all(
        parent, by=g1, now=at(5), channel="admin", condition="in_progress", summary=everything(found, parent)
    )
    from incidents import notify

    message = OutboxMessage.objects.get(kind="status_update", endpoint=room, channel="webhook")
    sent = webhook.body(message, notify.render(message))
    assert CANARIES["acme"] in sent
    for words in others_of("acme", found, parent):
        assert words not in sent


def test_no_channel_and_no_webhook_holds_a_byte_of_another(world, g1):
    found, parent = world
    ends = {
        slug: (factories.channel(of), factories.webhooks(of)) for slug, (of, _one, _made) in found.items()
    }
    text = everything(found, parent)
    actions.publish_for_all(
        parent, by=g1, now=at(5), channel="admin", condition="in_progress", summary=text, impact=text
    )
    actions.restore_all(parent, by=g1, now=at(6), channel="admin", text=text)
    actions.resolve_all(parent, by=g1, now=at(7), channel="admin", cause=text, remedy=text)
    for slug, (_of, one, made) in found.items():
        actions.reply(made, by=one, now=at(8), channel="portal", text=f"{CANARIES[slug]} is back")
        rows = OutboxMessage.objects.filter(endpoint__in=ends[slug], channel="webhook")
        sent = {row.kind: body_of(row) for row in rows.select_related("endpoint", "recipient")}
        assert {"status_update", "incident.status_update_published", "incident.resolved"} <= set(sent)
        assert sent.keys() >= {"incident.restored", "incident.reopened"}
        for kind, body in sent.items():
            assert [word for word in others_of(slug, found, parent) if word in body] == [], (slug, kind)
        assert CANARIES[slug] in sent["incident.reopened"]
        assert not rows.exclude(subject_key=made.reference).exists()


def body_of(message):
    """What goes out, with every letter as it is read."""
    rendered = KINDS[message.kind].render(message)
    said = json.loads(webhook.body(message, rendered))
    return "\n".join([json.dumps(said, ensure_ascii=False), rendered.subject, rendered.text, rendered.url])


# --- words ---


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Nordwind", "NORDWIND'in veri tabanı"),
        ("Nordwind", "Nordwinds Daten, tenant_nordwind_eu"),
        ("İstanbul Finans A.Ş.", "istanbul finans ve ISTANBUL FİNANS"),
        ("İstanbul Finans", "İstanbul Finans".lower()),  # its first letter with a dot of its own
        ("Nordwind Logistik GmbH", "bei Nordwind  Logistik ist es aus"),
        ("IBM", "and IBM, too"),
    ],
)
def test_a_name_is_found_however_it_is_written(mine_of, name, written):
    made, of = mine_of
    Organisation.objects.filter(pk=of.pk).update(name=name, slug="s-l-u-g")
    told = Words(written).told(written, made)
    assert "another customer" in told
    for part in ("nordwind", "finans", "ibm"):
        assert part not in told.lower()


@pytest.fixture
def mine_of(a1, nordwind):
    return incident(a1, T0), nordwind


def test_an_own_name_is_kept_also_where_anothers_is_part_of_it(mine_of, acme):
    made, of = mine_of
    Organisation.objects.filter(pk=of.pk).update(name="Acme Nord", slug="acme-nord")
    assert (
        Words("x Acme and Acme Nord y").told("x Acme and Acme Nord y", made)
        == "x Acme and another customer y"
    )
    Organisation.objects.filter(pk=of.pk).update(name="Ac", slug="a-c")
    made.organisation.refresh_from_db()
    assert Words("Acme, Ac").told("Acme, Ac", made) == "Acme, another customer"


def test_a_text_without_names_is_left_as_it_was(mine_of):
    made, _of = mine_of
    text = "Node 3 of **Inference API** failed\n\n* 12:00 restart\n* INC number?"
    assert Words(text).told(text, made) == text


def test_somebody_of_both_is_named_to_both(mine_of, acme, a1):
    made, of = mine_of
    Membership.objects.create(user=a1, organisation=of, role="member")
    assert Words("Ada One").told("Ada One", made) == "Ada One"


def test_what_was_replaced_is_named_once(mine_of):
    made, of = mine_of
    Organisation.objects.filter(pk=of.pk).update(name="Nordwind Logistik", slug="nordwind")
    text = "Nordwind Logistik and Acme are down"
    assert Words(text).replaced(text, made) == ["Nordwind Logistik"]


# --- the desk ---


def outage(parent, act=""):
    name, args = ("outage_act", [parent.pk, act]) if act else ("outage", [parent.pk])
    return reverse(f"admin:incidents_incident_{name}", args=args)


UPDATE = {"condition": "in_progress", "summary": "A node failed, also at Nordwind kanarya-nord."}


def test_the_preview_shows_each_organisations_mail_and_writes_nothing(world, client, g1):
    found, parent = world
    client.force_login(g1)
    before = (StatusUpdate.objects.count(), OutboxMessage.objects.count())
    answer = client.post(outage(parent, "update"), UPDATE | {"preview": "1"})
    assert answer.status_code == 200
    readings = {str(reading.incident.organisation): reading for reading in answer.context["readings"]}
    assert len(readings) == 3
    mine = readings["Acme kanarya-acme"]
    assert "another customer" in mine.mail.text
    assert "kanarya-nord" not in mine.mail.text
    assert mine.recipients == ["Person kanarya-acme"]
    assert mine.replaced == ["Nordwind kanarya-nord"]
    assert "Send to 3 organisations" in answer.content.decode()
    assert (StatusUpdate.objects.count(), OutboxMessage.objects.count()) == before
    sent = client.post(outage(parent, "update"), UPDATE, follow=True)
    assert "Done for 3 incidents" in sent.content.decode()
    shown = OutboxMessage.objects.get(kind="status_update", recipient=found["acme"][1])
    from incidents import notify

    assert notify.render(shown).text == mine.mail.text


def test_a_double_click_sends_once(world, client, g1):
    _found, parent = world
    client.force_login(g1)
    parent.refresh_from_db()
    body = UPDATE | {"revision": str(parent.revision)}
    codes = [client.post(outage(parent, "update"), body).status_code for _ in range(2)]
    assert codes == [302, 409]
    assert StatusUpdate.objects.count() == 4


def test_the_desk_gathers_takes_out_and_ends(world, client, g1, a1):
    _found, parent = world
    client.force_login(g1)
    late = incident(a1, T0)
    assert client.post(outage(parent, "attach"), {"children": [late.pk]}).status_code == 302
    late.refresh_from_db()
    assert late.parent == parent
    client.post(outage(parent, "detach"), {"child": late.pk})
    late.refresh_from_db()
    assert late.parent is None
    answer = client.get(outage(late))
    assert answer.status_code == 200
    body = {"title": "Another", "level": "P2", "services": [late.services.get().pk], "children": [late.pk]}
    client.post(outage(late), body)
    late.refresh_from_db()
    assert late.parent.title == "Another"
    client.post(outage(parent, "restore"), {"text": ""})
    client.post(outage(parent, "resolve"), {"cause": "a", "remedy": "b"})
    assert set(parent.children.values_list("status", flat=True)) == {"resolved"}
    assert (
        client.post(outage(parent, "resolve"), {"cause": "", "remedy": "b"}, follow=True).status_code == 200
    )
    assert client.get(outage(parent)).status_code == 200


def test_the_desk_and_the_api_tell_organisations_that_reported_nothing(world, client, g1, api):
    _found, parent = world
    one, two = organisation("Quiet"), organisation("Calm")
    client.force_login(g1)
    assert "Quiet" in client.get(outage(parent)).content.decode()
    client.post(outage(parent, "open"), {"title": "Impaired", "organisations": [one.pk]})
    assert one.incidents.get().parent == parent
    client.post(outage(parent, "open"), {"title": "", "organisations": [two.pk]})
    assert two.incidents.count() == 0
    address = f"/api/v1/incidents/{parent.reference}/children/"
    assert api.post(address, {"organisations": ["calm"]}).status_code == 400
    made = api.post(address, {"organisations": ["calm", "quiet"], "title": "Impaired"})
    assert made.json()["done"] == [two.incidents.get().reference]
    child = f"/api/v1/incidents/{two.incidents.get().reference}/children/"
    assert api.post(child, {"organisations": ["quiet"], "title": "x"}).status_code == 409


def test_a_scheduled_update_is_released_or_discarded_for_all(world, client, g1):
    _found, parent = world
    client.force_login(g1)
    later = UPDATE | {"publish_at": "2026-03-03T16:00"}
    client.post(outage(parent, "update"), later)
    assert set(StatusUpdate.objects.values_list("state", flat=True)) == {"scheduled"}
    assert "Discard it for all" in client.get(outage(parent)).content.decode()
    client.post(outage(parent, "discard"))
    assert set(StatusUpdate.objects.values_list("state", flat=True)) == {"discarded"}
    client.post(outage(parent, "update"), later)
    client.post(outage(parent, "release"))
    assert StatusUpdate.objects.filter(state="published").count() == 4


def test_a_customer_never_enters_and_an_invented_act_is_none(world, client, g1):
    found, parent = world
    client.force_login(found["acme"][1])
    for act in ("", "update", "resolve"):
        assert client.post(outage(parent, act), UPDATE).status_code in (302, 403)
    assert StatusUpdate.objects.count() == 0
    client.force_login(g1)
    assert client.post(outage(parent, "explode")).status_code == 404
    assert client.post(outage(found["acme"][2], "update"), UPDATE).status_code == 404


def test_the_incidents_own_composer_leaves_updates_of_an_outage_to_its_page(world, client, g1):
    found, parent = world
    client.force_login(g1)
    shown = client.get(reverse("admin:incidents_incident_change", args=[parent.pk])).content.decode()
    assert "publish_status_update" not in shown
    assert outage(parent) in shown
    child = client.get(
        reverse("admin:incidents_incident_change", args=[found["acme"][2].pk])
    ).content.decode()
    assert "publish_status_update" in child
    assert outage(parent) in child


def test_the_page_of_an_outage_makes_the_same_queries_for_3_and_9_children(world, client, g1, a1):
    _found, parent = world
    client.force_login(g1)

    def count():
        client.get(outage(parent))
        with CaptureQueriesContext(connection) as captured:
            assert client.get(outage(parent)).status_code == 200
        return len(captured)

    before = count()
    more = [incident(a1, T0) for _ in range(6)]
    actions.attach_children(parent, more, by=g1, now=at(10), channel="admin")
    assert count() == before


# --- the API ---


@pytest.fixture
def api(g1):
    client = APIClient()
    client.force_authenticate(g1)
    return client


def test_the_api_gathers_writes_and_ends(api, a1, b1, g1):
    one, two = incident(a1, T0), incident(b1, T0)
    made = api.post(f"/api/v1/incidents/{one.reference}/children/", {"incidents": [two.reference]})
    assert made.status_code == 201, made.content
    reference = made.json()["reference"]
    assert made.json()["done"] == [one.reference, two.reference]
    address = f"/api/v1/incidents/{reference}/"
    assert [row["reference"] for row in api.get(f"{address}children/").json()] == [
        two.reference,
        one.reference,
    ]
    sent = api.post(
        f"{address}status-updates/", {"summary": "A node failed.", "additions": {two.reference: "Yours too."}}
    )
    assert sent.status_code == 201, sent.content
    assert sent.json()["children"] == {"done": [one.reference, two.reference], "left": []}
    assert "Yours too." in two.status_updates.get().summary
    wrong = api.post(f"{address}status-updates/", {"summary": "x", "additions": {"INC-1": "?"}})
    assert wrong.status_code == 400
    out = api.delete(f"{address}children/", {"incidents": [one.reference, one.reference]})
    assert (out.json()["done"], len(out.json()["left"])) == ([one.reference], 1)
    again = api.post(f"{address}children/", {"incidents": [one.reference]})
    assert again.json()["done"] == [one.reference]
    restored = api.post(f"{address}restoration/", {"is_for_children": True})
    assert len(restored.json()["children"]["done"]) == 3
    ended = api.post(f"{address}resolution/", {"cause": "a", "remedy": "b", "is_for_children": True})
    assert len(ended.json()["children"]["done"]) == 3
    assert set(Incident.objects.values_list("status", flat=True)) == {"resolved"}


def test_the_api_refuses_what_makes_no_sense(api, a1):
    one = incident(a1, T0)
    address = f"/api/v1/incidents/{one.reference}/"
    assert api.post(f"{address}children/", {"incidents": ["INC-987654"]}).status_code == 400
    assert api.delete(f"{address}children/", {"incidents": [one.reference]}).json()["done"] == []
    refused = api.post(f"{address}resolution/", {"cause": "a", "remedy": "b", "is_for_children": True})
    assert refused.status_code == 409
    api.post(f"{address}children/", {})
    assert api.post(f"{address}children/", {}).status_code == 409


def test_the_common_reference_reads_as_ones_own_and_anothers_as_nobodys(world):
    found, parent = world
    mine, theirs = found["acme"][2], found["nordwind"][2]
    mine.refresh_from_db()
    text = f"{parent.reference}, {theirs.reference}, {mine.reference}, INC-999999"
    told = Words(text).told(text, mine)
    assert told == f"{mine.reference}, another incident, {mine.reference}, another incident"


def test_an_address_is_somebody_and_its_domain_a_customer(mine_of, b1):
    made, _of = mine_of
    text = "ask b1@nordwind.example or tenant.nordwind.example"
    told = Words(text).told(text, made)
    assert told == "ask somebody of another customer or tenant.another customer"


def test_an_own_long_name_is_not_cut_by_anothers_short_one(mine_of, acme):
    made, of = mine_of
    Organisation.objects.filter(pk=acme.pk).update(name="Acme Nord", slug="acme-nord")
    Organisation.objects.filter(pk=of.pk).update(name="Acme", slug="acme-of-old")
    made.organisation.refresh_from_db()
    assert Words("Acme Nord, Acme").told("Acme Nord, Acme", made) == "Acme Nord, another customer"


def test_a_short_name_is_replaced_as_a_whole_word_only(mine_of):
    made, of = mine_of
    Organisation.objects.filter(pk=of.pk).update(name="Act", slug="a-c")
    assert Words("a fact of ACT_1").told("a fact of ACT_1", made) == "a fact of another customer_1"
