"""No byte of another organisation in any output of an RCA: page, PDF, API, mails, webhooks, before and after."""

import io
import json

import jsonschema
import pytest
import time_machine
from django.core import mail
from pypdf import PdfReader
from rest_framework.test import APIClient

from incidents import actions
from incidents.actions import ActionInput, MomentInput, RedactionInput
from incidents.models import RCA, Incident, RCACopy
from incidents.rca_reading import preview, reading
from incidents.standard_rca import rca_form
from portal import outbox, pdf
from portal.channels import webhook
from portal.models import (
    ApiToken,
    Membership,
    Organisation,
    OutboxMessage,
    Service,
    ServiceImpact,
    ServiceSubscription,
)
from portal.standard_form import schema
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY
from tests.incidents.rca_world import DUE, at, family, published, rca_of, resolved, solve, window_for

OURS, THEIRS = "canary-acme", CANARY


@pytest.fixture(autouse=True)
def _later():
    with time_machine.travel(at(600), tick=False):
        yield


@pytest.fixture
def world(a1, a2, b1, g1, g2):
    """One outage of Acme and Nordwind, with one RCA whose every text names both, and secrets of each."""
    Organisation.objects.filter(pk=b1.memberships.get().organisation_id).update(name=f"Nordwind {THEIRS}")
    Organisation.objects.filter(pk=a1.memberships.get().organisation_id).update(name=f"Acme {OURS}")
    for organisation, word in (
        (a1.memberships.get().organisation, OURS),
        (b1.memberships.get().organisation, THEIRS),
    ):
        own = Service.objects.create(name=f"Private {word}", slug=f"private-{word}")
        ServiceSubscription.objects.create(organisation=organisation, service=own)
    type(a1).objects.filter(pk=a1.pk).update(name=f"Ada {OURS}")
    type(a1).objects.filter(pk=b1.pk).update(email=f"bo@{THEIRS}.example")
    _parent, children = family(a1, b1, g1)
    for made in children:
        solve(made, g1, at(60))
    rca = RCA.objects.get()
    words = words_of(children)
    actions.draft_rca(rca, by=g1, now=at(100), channel="admin")
    actions.save_rca(
        rca,
        by=g1,
        now=at(101),
        channel="admin",
        texts=dict.fromkeys(RCA.TEXTS, f"Text: {words}"),
        moments=[MomentInput(at(1), f"Then {words}"[:500])],
        actions=[ActionInput("prevent", f"Do {words}"[:500], g1, DUE)],
        redactions=[
            RedactionInput(f"secret {OURS}", Organisation.objects.get(slug="nordwind")),
            RedactionInput(f"secret {THEIRS}", Organisation.objects.get(slug="acme"), "something"),
            RedactionInput("hush-hush"),
        ],
    )
    actions.submit_rca(rca, by=g1, now=at(102), channel="admin")
    actions.approve_rca(rca, by=g2, now=at(103), channel="admin")
    actions.publish_rca(rca, by=g2, now=at(104), channel="admin")
    return rca, children


def words_of(children):
    """All that must not be read by the other: names, people, addresses, services, references, secrets."""
    mine, theirs = children
    return (
        f"Acme {OURS}, NORDWIND {THEIRS.upper()}, Ada {OURS}, Bo {THEIRS}, bo@{THEIRS}.example,"
        f" Private {OURS}, Private {THEIRS}, {mine.reference}, {theirs.reference},"
        f" Secret {OURS}, SECRET {THEIRS}, hush-hush"
    )


def after_publication(rca, g1, g2, h1, words):
    """Everything that can be written later: moved, closed, dropped, answered, with both organisations named."""
    action = rca.actions.get()
    actions.move_action(
        action, by=g1, now=at(200), channel="admin", due_on=DUE.replace(day=25), reason=f"As {words}"
    )
    actions.close_action(action, by=g1, now=at(201), channel="admin", evidence=f"See {words}")
    actions.revise_rca(rca, by=g1, now=at(210), channel="admin")
    actions.save_rca(
        rca,
        by=g1,
        now=at(211),
        channel="admin",
        actions=[ActionInput("detect", f"Watch {words}"[:500], g1, DUE)],
        redactions=[],
    )
    actions.submit_rca(rca, by=g1, now=at(212), channel="admin")
    actions.approve_rca(rca, by=g2, now=at(213), channel="admin")
    actions.publish_rca(rca, by=g2, now=at(214), channel="admin", note=f"Now {words}"[:300])
    second = rca.actions.get(number=2)
    actions.drop_action(second, by=h1, now=at(220), channel="admin", reason=f"For {words}")


def outputs(client, user, made):
    """Every byte that the user can get of the RCA of their incident."""
    user.refresh_from_db()  # the world has renamed them: a session is for who they are
    client.force_login(user)
    path = f"/incidents/{made.reference}/rca/"
    yield "detail", client.get(made.get_absolute_url()).content.decode()
    for version in ("", "1", "2"):
        yield f"page {version}", client.get(path, {"version": version} if version else {}).content.decode()
        if pdf.is_available() and version != "2":  # the latest is the second
            answer = client.get(f"{path}pdf/", {"version": version} if version else {})
            assert answer.status_code == 200, (answer.status_code, answer.headers)
            content = answer.content
            pages = PdfReader(io.BytesIO(content)).pages
            yield f"pdf {version}", " ".join(" ".join(part.extract_text() for part in pages).split())
            yield f"pdf bytes {version}", content.decode("latin-1")
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user=user)[1]}")
    for noun in ("", "rca/", "rca/?version=1", "rca/actions/", "rca/comments/", "events/"):
        answer = api.get(f"/api/v1/incidents/{made.reference}/{noun}")
        assert answer.status_code == 200, noun
        yield f"api {noun}", json.dumps(answer.json(), ensure_ascii=False)


def test_no_byte_of_the_other_in_any_output(client, world, a2, b1, g1, g2, h1):
    rca, children = world
    after_publication(rca, g1, g2, h1, words_of(children))
    for user, made, foreign in ((a2, children[0], THEIRS), (b1, children[1], OURS)):
        other = children[1] if made is children[0] else children[0]
        seen = 0
        for name, said in outputs(client, user, made):
            assert foreign.lower() not in said.lower(), (name, said)
            assert "hush-hush" not in said.lower(), name
            assert other.reference not in said, name
            seen += "█████" in said
        assert seen >= 6


def test_what_is_one_s_own_is_read(client, world, a2):
    _rca, (mine, _theirs) = world
    client.force_login(a2)
    said = client.get(f"/incidents/{mine.reference}/rca/").content.decode()
    for own in (
        f"Acme {OURS}",
        f"Ada {OURS}",
        f"Private {OURS}",
        mine.reference,
        f"Secret {OURS}",
        "something",
    ):
        assert own in said, own


def test_no_byte_of_the_other_in_a_mail_or_webhook(world, a1, a2, b1, g1, g2, h1):
    rca, children = world
    after_publication(rca, g1, g2, h1, words_of(children))
    members = {a1.pk: THEIRS, a2.pk: THEIRS, b1.pk: OURS}
    kinds = [
        "rca_published",
        "prevention_action_moved",
        "prevention_action_done",
        "prevention_action_dropped",
    ]
    messages = list(OutboxMessage.objects.filter(kind__in=kinds))
    assert {message.kind for message in messages} == set(kinds)
    assert {message.recipient_id for message in messages} == {a2.pk, b1.pk}
    for message in messages:
        sent = outbox.KINDS[message.kind].render(message)
        foreign = members[message.recipient_id]
        shown = [sent.subject, sent.text, sent.html, sent.url, json.dumps(sent.form, ensure_ascii=False)]
        for file in sent.attached:
            pages = PdfReader(io.BytesIO(file.content)).pages
            shown += [file.name, *(part.extract_text() for part in pages)]
        for said in shown:
            assert foreign.lower() not in said.lower(), (message.kind, said)
            assert "hush-hush" not in said.lower()
        assert not outbox.KINDS[message.kind].why_not(message)


def test_no_byte_of_the_other_in_a_channel_or_webhook(world, a2, b1, g1, g2, h1):
    rca, children = world
    foreign = {}
    for made, word in zip(children, (THEIRS, OURS), strict=True):
        ends = (factories.channel(made.organisation), factories.webhooks(made.organisation))
        foreign |= {end.pk: (word, made) for end in ends}
    after_publication(rca, g1, g2, h1, words_of(children))
    messages = list(OutboxMessage.objects.filter(channel="webhook").select_related("endpoint", "recipient"))
    for pk, (_word, made) in foreign.items():
        sent = [message for message in messages if message.endpoint_id == pk]
        assert [message.subject_key for message in sent] == [made.reference] * 4
    for message in messages:
        word, made = foreign[message.endpoint_id]
        other = children[1] if made == children[0] else children[0]
        kind = outbox.KINDS[message.kind]
        rendered = kind.render(message)
        body = json.dumps(json.loads(webhook.body(message, rendered)), ensure_ascii=False)
        for said in (body, rendered.subject, rendered.text, rendered.url):
            assert word.lower() not in said.lower(), (message.kind, said)
            assert "hush-hush" not in said.lower()
            assert other.reference not in said
        assert made.reference in body
        assert not kind.why_not(message)
    assert {m.kind for m in messages} >= {"rca.published", "rca_published", "rca.prevention_action_dropped"}


def test_the_frozen_copies_hold_nothing_of_the_other(world):
    rca, _children = world
    for copy in RCACopy.objects.all():
        foreign = THEIRS if copy.organisation.slug == "acme" else OURS
        assert foreign not in json.dumps(copy.content).lower()
        names = [row["name"] for row in copy.content["services"]]
        assert names == ["Inference API"]
    assert THEIRS in json.dumps(rca.versions.get().content)  # staff keep the whole text


def test_a_preview_is_what_will_be_published_and_writes_nothing(world, g1, g2):
    rca, _children = world
    actions.revise_rca(rca, by=g1, now=at(300), channel="admin")
    organisation = Organisation.objects.get(slug="acme")
    before = (
        list(RCACopy.objects.values_list("pk", flat=True)),
        rca.events.count(),
        OutboxMessage.objects.count(),
    )
    seen = preview(rca, organisation, by=g1, now=at(301))
    assert (
        list(RCACopy.objects.values_list("pk", flat=True)), rca.events.count(), OutboxMessage.objects.count()
    ) == before  # fmt: skip
    actions.submit_rca(rca, by=g1, now=at(302), channel="admin")
    actions.approve_rca(rca, by=g2, now=at(302), channel="admin")
    actions.publish_rca(rca, by=g2, now=at(302), channel="admin", note="More.")
    stored = RCACopy.objects.get(version__number=2, organisation=organisation).content
    assert {**seen.content, "note": "More."} == stored


def test_black_stays_black_when_the_redaction_is_taken_out_later(client, world, g1, g2, a2):
    rca, (mine, _theirs) = world
    actions.revise_rca(rca, by=g1, now=at(300), channel="admin")
    actions.save_rca(rca, by=g1, now=at(301), channel="admin", redactions=[])
    action = rca.actions.get()
    actions.close_action(action, by=g1, now=at(302), channel="admin", evidence="hush-hush and more")
    client.force_login(a2)
    said = client.get(f"/incidents/{mine.reference}/rca/").content.decode()
    assert "hush-hush" not in said
    assert "and more" in said


def test_the_window_s_rca_keeps_organisations_apart(client, acme, a1, a2, b1, g1, g2, m1):
    window = window_for(acme, g1, m1)
    window.involved.create(organisation=b1.memberships.get().organisation, since=T0)
    rca = published(
        RCA.objects.create(window=window, due_at=at(0, days=7)),
        g1,
        g2,
        texts={"impact": f"Felt by {b1.name} and {a1.name} of Nordwind and Acme."},
    )
    path = f"/maintenance/{window.reference}/rca/"
    for user, foreign in ((a2, ("Nordwind", CANARY)), (b1, ("Acme", "Ada One"))):
        client.force_login(user)
        said = client.get(path).content.decode()
        assert "Felt by" in said
        for word in foreign:
            assert word not in said.replace("Bo canary-7f3a", "" if user is b1 else "Bo canary-7f3a")
    assert rca.versions.get().copies.count() == 2


def test_a_window_s_title_and_what_was_felt_are_each_one_s_own(acme, nordwind, b1, g1, g2, m1):
    window = window_for(acme, g1, m1)
    window.involved.create(organisation=nordwind, since=T0)
    type(window).objects.filter(pk=window.pk).update(title="Move for Nordwind")
    for organisation, slug in ((acme, "inference-api"), (nordwind, "vector-store")):
        ServiceImpact.objects.create(
            service=Service.objects.get(slug=slug),
            organisation=organisation,
            impact="outage",
            from_at=T0,
            until_at=at(60),
            source=window.reference,
            is_planned=True,
        )
    published(RCA.objects.create(window=window, due_at=at(0, days=7)), g1, g2)
    mine, theirs = RCACopy.objects.order_by("organisation__name")
    assert (mine.content["title"], theirs.content["title"]) == ("Move for █████", "Move for Nordwind")
    assert [row["name"] for row in mine.content["services"]] == ["Inference API"]
    assert [row["name"] for row in theirs.content["services"]] == ["Vector Store"]


def test_who_belongs_to_both_reads_each_one_s_copy_at_its_own_incident(client, world, a2, g1):
    _rca, children = world
    Membership.objects.create(user=a2, organisation=children[1].organisation, role="member")
    for user in (a2, g1):
        client.force_login(user)
        for made in children:
            shown = client.get(f"/incidents/{made.reference}/rca/").context["copy"]
            assert shown.organisation == made.organisation


def test_comments_are_read_by_their_organisation_alone(client, world, a2, b1, g1):
    rca, (mine, theirs) = world
    for who, made in ((a2, mine), (b1, theirs)):
        client.force_login(who)
        path = f"/incidents/{made.reference}/rca/comments/"
        assert client.post(path, {"text": f"Words of {who.pk}-only"}).status_code == 302
    nordwind = theirs.organisation
    actions.comment_rca(
        rca, by=g1, now=at(600), channel="admin", organisation=nordwind, text="Answer to Nordwind only"
    )
    client.force_login(a2)
    said = client.get(f"/incidents/{mine.reference}/rca/").content.decode()
    assert f"Words of {a2.pk}-only" in said
    assert f"Words of {b1.pk}-only" not in said
    assert "Answer to Nordwind" not in said
    answered = OutboxMessage.objects.filter(kind="rca_answered")
    assert {message.recipient_id for message in answered} == {b1.pk}


# --- the standard format ---


def test_the_form_holds_the_schema_and_is_the_same_everywhere(a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    copy = RCACopy.objects.select_related("version__rca", "organisation").get()
    form = rca_form(reading(copy, at(600).date())).as_json()
    jsonschema.validate(form, dict(schema()))
    assert (form["kind"], form["reference"], form["what"][:8]) == ("rca", made.reference, "API down")
    assert [step["due"] for step in form["next_steps"]] == ["2026-03-20"]
    labels = [entry["label"] for entry in form["more"]]
    assert labels == ["Detection", "Timeline", "Root cause", "What went well", "What went badly",
                      "What was promised, and kept"]  # fmt: skip
    api = APIClient()
    api.force_authenticate(a1)
    said = api.get(f"/api/v1/incidents/{made.reference}/rca/").json()["form"]
    assert {**said, "more": []} == {**form, "more": []}
    action = rca.actions.get()
    actions.start_action(action, by=g1, now=at(500), channel="admin")
    actions.close_action(action, by=g1, now=at(501), channel="admin", evidence="A test.")
    message = OutboxMessage.objects.filter(kind="prevention_action_done").first()
    done = outbox.KINDS[message.kind].render(message).form
    jsonschema.validate(done, dict(schema()))
    assert (done["kind"], done["state"], done["next_steps"][0]["evidence"]) == (
        "next_steps",
        "done",
        "A test.",
    )


def test_the_mail_goes_out_with_the_document(a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2, at(590))
    outbox.sweep(at(600))
    sent = next(m for m in mail.outbox if "RCA is published" in m.subject)
    assert sent.subject == f"[{made.reference}] The RCA is published"
    assert sent.to == [a1.email]
    assert "Gus Two" in sent.from_email
    assert "Nobody watched it." in sent.body
    assert f"/incidents/{made.reference}/rca/?version=1" in sent.body
    assert "+" in sent.reply_to[0]
    assert "Auto-Submitted" not in sent.extra_headers
    if pdf.is_available():
        (file,) = [part for part in sent.attachments if part[2] == "application/pdf"]
        assert file[0] == f"RCA-{made.reference}-v1.pdf"
        assert file[1].startswith(b"%PDF")


def test_whoever_left_gets_no_mail(a1, a2, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2, at(590))
    a1.memberships.all().delete()
    outbox.sweep(at(600))
    assert [m.to for m in mail.outbox if "RCA is published" in m.subject] == [[a2.email]]
    assert Incident.objects.get(pk=made.pk).events.filter(kind="rca_published").count() == 1
