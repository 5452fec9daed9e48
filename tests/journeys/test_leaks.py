"""The leak matrix: three organisations, one outage, one window, one RCA, one report each.

Each organisation has a word that belongs to it alone: in its name, its people's names, its own service, its
incident's texts, its freeze, its comment, its channel, its bridge. Then every page that leads from home is
walked, every API noun, the feed, the PDFs, the CSV, the mails, what its channel and its webhooks were told, as
each of them: no word of another anywhere, and none of what staff say to each other.
"""

import io
import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from pypdf import PdfReader

from incidents import actions
from incidents.models import RCA, Incident, SupportPlan
from incidents.report_mail import send_monthly_reports
from maintenance import actions as maintenance
from maintenance.actions.invitations import rotate_feed
from portal import announcing, outbox, pdf
from portal.channels import calls, guard, webhook
from portal.models import Organisation, OutboxMessage, Service, ServiceSubscription, User
from tests import factories
from tests.conftest import T0
from tests.incidents.rca_world import one_action, published
from tests.journeys.stage import ApiDoor, Stage, api
from tests.maintenance import world as windows

WORDS = {"acme": "kestrel-amber", "nordwind": "kestrel-blue", "contoso": "kestrel-coral"}
INTERNAL = "kestrel-internal"
HREF = re.compile(r'(?:href|src|hx-get|action)="([^"#]+)"')
NEVER = re.compile(r"^/(accounts|static|admin)/|/logout|^/calendar/")
DAY = 24 * 60


def organisation(slug: str) -> tuple[Organisation, User]:
    word = WORDS[slug]
    made = factories.organisation(f"{slug.title()} {word}")
    own = Service.objects.create(name=f"Own of {word}", slug=f"own-{slug}")
    ServiceSubscription.objects.create(organisation=made, service=own)
    reader = factories.person(f"{word}@{slug}.example", f"Person {word}", made, "manager", is_p1_contact=True)
    return made, reader


@pytest.fixture
def stage(db):
    with time_machine.travel(T0, tick=False) as traveller:
        yield Stage(traveller, ApiDoor())


@pytest.fixture
def told(monkeypatch):
    """What channels and webhooks were told: (address, body) each. Nobody is called."""
    found = []

    def call(url, content, headers):
        found.append((url, content.decode()))
        return calls.Answer(guard.check(url), 200, "OK", b"ok")

    monkeypatch.setattr(calls, "call", call)
    return found


@pytest.fixture
def readers(stage, told, g1, g2, m1):
    """All that can be shared by the three has happened."""
    found = {slug: organisation(slug) for slug in WORDS}
    children = [report(stage, slug, person) for slug, (_of, person) in found.items()]
    for child, (of, person) in zip(children, found.values(), strict=True):
        bridge(stage, child, of, person, g1, m1)
    outage(stage, children, g1, m1)
    window(stage, found, g1, g2)
    rca(stage, g1, g2)
    told = announcing.write(by=g1, now=stage.time(9 * DAY), title="News", text="For all.", audience="all")
    announcing.publish(told, by=m1, now=stage.time(9 * DAY))
    stage.at(30 * DAY)
    stage.go(T0.replace(month=4, day=1, hour=9))
    send_monthly_reports(T0.replace(month=4, day=1, hour=9))
    stage.work()
    return {slug: person for slug, (_of, person) in found.items()}


def report(stage, slug: str, person: User) -> Incident:
    word = WORDS[slug]
    reference = stage.file(
        person,
        title=f"All fails, says {word}",
        description=f"Our {word} waits.",
        claimed_level="P1",
        services=["inference-api", f"own-{slug}"],
    )
    return Incident.objects.by_reference(reference).get()


def bridge(stage, child, of: Organisation, person: User, g1, m1) -> None:
    """Escalated, and talked over on a bridge; beside it staff say to each other what they think of all three."""
    word, now = person.name.split()[1], {"now": stage.time(1)}
    SupportPlan.objects.filter(organisation=of).update(
        has_bridge=True, conference_template=f"https://{word}.example/{{key}}"
    )
    factories.channel(of, "slack", name=f"Room of {word}", url=f"https://{word}.example/room")
    factories.webhooks(of, name=f"Machine of {word}", url=f"https://{word}.example/machine")
    actions.escalate(child, reason=f"Hurry, says {word}.", by=person, channel="portal", **now)
    actions.answer_escalation(child, text=f"At once, {word}.", by=m1, channel="admin", **now)
    opened = actions.open_bridge(child, by=person, channel="bridge", **now)
    spoken = {"channel": "bridge"} | now
    actions.note_on_bridge(opened, text=f"It is dark at {word}.", by=person, **spoken)
    actions.side_note(opened, text=f"{INTERNAL}: {' '.join(WORDS.values())}", by=g1, **spoken)
    actions.decide_on_bridge(opened, text=f"First {word}.", by=g1, **spoken)
    step = {"text": f"Call {word}", "owner": person, "due_at": stage.time(60)}
    actions.agree_step(opened, by=g1, **step, **spoken)
    actions.close_bridge(opened, summary=actions.draft_summary(opened, stage.time(1)), by=g1, **spoken)


def outage(stage, children, g1, m1) -> None:
    """One update, one restoration and one resolution, written once, with a word for each alone."""
    names = " and ".join(str(child.organisation) for child in children)
    parent, outcome = actions.open_parent(
        children,
        title="Inference is down",
        level="P1",
        services=Service.objects.filter(slug="inference-api"),
        by=g1,
        now=stage.time(2),
        channel="admin",
    )
    assert len(outcome.done) == 3
    write = {"by": g1, "channel": "admin"}
    actions.publish_for_all(
        parent,
        condition="in_progress",
        summary=f"A node failed. It is felt by {names}.",
        next_steps=f"We call {names}.",
        additions={child.pk: f"For {child.organisation} alone." for child in children},
        now=stage.time(5),
        **write,
    )
    stage.at(6)
    actions.restore_all(parent, now=stage.time(20), **write)
    actions.resolve_all(
        parent,
        cause=f"A disk of {names}.",
        remedy=f"It was changed for {names}.",
        now=stage.time(30),
        **write,
    )
    stage.at(31)


def window(stage, found, g1, g2) -> None:
    """Announced into a freeze of each, with a consent of each, overrun and rolled back."""
    start = stage.time(8 * DAY)
    for slug, (of, person) in found.items():
        maintenance.enter_freeze(
            of,
            starts_at=start - timedelta(hours=1),
            ends_at=start + timedelta(hours=5),
            reason=f"Closing {WORDS[slug]}",
            by=person,
            now=stage.time(60),
            channel="portal",
        )
    services = [(windows.service(), "outage")]
    services += [(Service.objects.get(slug=f"own-{slug}"), "degraded") for slug in WORDS]
    made = windows.announced(
        g1,
        g2,
        stage.time(61),
        services=services,
        starts_at=start,
        ends_at=start + timedelta(hours=2),
        rollback_decision_at=start + timedelta(hours=1),
    )
    for consent in made.consents.filter(organisation__isnull=False):
        person = consent.organisation.memberships.get().user
        word = person.name.split()[1]
        maintenance.give_consent(
            consent, words=f"Fine, {word}.", by=person, now=stage.time(2 * DAY), channel="portal"
        )
    stage.at(8 * DAY)
    stage.at(8 * DAY + 120)
    maintenance.order_rollback(made, reason="Too slow.", **windows.by(g1, stage.time(8 * DAY + 130), "admin"))
    maintenance.begin_verification(made, **windows.by(g1, stage.time(8 * DAY + 140), "admin"))
    maintenance.complete(
        made, outcome="It is as before.", **windows.by(g1, stage.time(8 * DAY + 150), "admin")
    )
    stage.at(8 * DAY + 160)


def rca(stage, g1, g2) -> None:
    """Of the outage and of the window; every text names all three, and each comments."""
    names = ", ".join(str(of) for of in Organisation.objects.filter(is_vendor=False).order_by("pk"))
    people = ", ".join(str(p) for p in User.objects.filter(is_staff=False).order_by("pk"))
    for row in RCA.objects.order_by("pk"):
        published(
            row,
            g1,
            g2,
            stage.time(9 * DAY),
            texts={
                "impact": f"Felt by {names}.",
                "root_cause": f"A disk that {names} shared; {people} saw it.",
                "went_well": f"Calls with {people}.",
            },
            acts=[one_action(g1, text=f"Watch the disks of {names}")],
        )
        for of in Organisation.objects.filter(is_vendor=False):
            person = of.memberships.get().user
            now = stage.time(9 * DAY + 10)
            actions.comment_rca(
                row, organisation=of, text=f"Thanks, says {person}.", by=person, now=now, channel="portal"
            )
    assert RCA.objects.count() == 2
    stage.at(9 * DAY + 20)


# --- what one of them can read ---


def walk(person: User) -> dict[str, bytes]:
    """Every page, file and fragment that leads from the person's home, by GET."""
    client = Client()
    client.force_login(person)
    found: dict[str, bytes] = {}
    waiting = [
        "/",
        "/status/",
        "/maintenance/",
        "/incidents/?status=closed",
        "/reports/2026-03/",
        "/profile/",
    ]
    while waiting:
        path = waiting.pop()
        if path in found or NEVER.search(path):
            continue
        answer = client.get(path, follow=True)
        assert answer.status_code in (200, 404), (path, answer.status_code)
        content = b"".join(answer) if answer.streaming else answer.content
        found[path] = content + str(answer.headers).encode()
        if "html" in answer.get("Content-Type", ""):
            for href in HREF.findall(content.decode()):
                href = href.replace("&amp;", "&").replace("http://testserver", "")
                if href.startswith("/") and not href.startswith("//"):
                    waiting.append(href)
                elif href.startswith("?"):
                    waiting.append(path.partition("?")[0] + href)
    return found


def nouns(person: User) -> dict[str, bytes]:
    """Every noun of the API that can be listed, and each object's own."""
    client = api(person)
    found = {}
    for noun in (
        "incidents",
        "maintenance-windows",
        "freezes",
        "announcements",
        "reports",
        "services",
        "organisations",
        "articles",
    ):
        answer = client.get(f"/api/v1/{noun}/")
        found[noun] = answer.content
    for row in client.get("/api/v1/incidents/").json()["results"]:
        for noun in (
            "",
            "events/",
            "clocks/",
            "replies/",
            "status-updates/",
            "attachments/",
            "rca/",
            "rca/comments/",
            "rca/actions/",
            "bridge/",
            "bridge/notes/",
        ):
            path = f"/api/v1/incidents/{row['reference']}/{noun}"
            found[path] = client.get(path).content
    for row in client.get("/api/v1/maintenance-windows/").json()["results"]:
        for noun in (
            "",
            "consents/",
            "posts/",
            "steps/",
            "conditions/",
            "rca/",
            "rca/comments/",
            "rca/actions/",
        ):
            path = f"/api/v1/maintenance-windows/{row['reference']}/{noun}"
            found[path] = client.get(path).content
    found["report"] = client.get("/api/v1/reports/2026-03/").content
    return found


def sent(person: User) -> dict[str, bytes]:
    """Every mail to the person with its files and calendar parts, and the webhook of each."""
    found = {
        f"mail {number} {message.subject}": message.message().as_bytes() + attached(message)
        for number, message in enumerate(mail.outbox)
        if message.to == [person.email]
    }
    for row in OutboxMessage.objects.filter(recipient=person, state="sent"):
        # What its webhook would carry, should the mail have failed.
        found[f"webhook {row.pk}"] = webhook.body(row, outbox.KINDS[row.kind].render(row)).encode()
    return found


def attached(message) -> bytes:
    parts = [part[1] for part in message.attachments if part[2] == "application/pdf"]
    bodies = [str(message.body).encode()] + [str(each[0]).encode() for each in message.alternatives]
    return b"\n".join(bodies + [readable(part) for part in parts])


def readable(content: bytes) -> bytes:
    """The words of a PDF; anything else as it is."""
    if not content.startswith(b"%PDF"):
        return content
    reader = PdfReader(io.BytesIO(content.partition(b"%%EOF")[0] + b"%%EOF"))
    text = "\n".join(page.extract_text() for page in reader.pages) + str(reader.metadata)
    return text.encode()


@pytest.mark.skipif(not pdf.is_available(), reason="libpango is not installed, so no PDF can be made")
def test_no_byte_of_one_organisation_reaches_another(readers, told):
    for slug, person in readers.items():
        own, others = WORDS[slug], [INTERNAL, *(word for name, word in WORDS.items() if name != slug)]
        pages = {path: readable(content) for path, content in walk(person).items()}
        token = rotate_feed(person, now=T0)
        feed = {"feed": Client().get(f"/calendar/{token}.ics").content}
        posts = {
            f"post {number} {url}": body.encode() for number, (url, body) in enumerate(told) if own in url
        }
        everything = pages | nouns(person) | sent(person) | feed | posts
        for where, content in everything.items():
            text = (
                content.decode("utf-8", "replace")
                .replace("\r\n ", "")
                .replace("=\r\n", "")
                .replace("=\n", "")
            )
            for word in others:
                assert word not in text, (slug, word, where, text[max(0, text.find(word) - 200) :][:400])
        check_it_was_there(own, pages, everything)


def check_it_was_there(own: str, pages: dict[str, bytes], everything: dict[str, bytes]) -> None:
    """The walk reached what could have leaked, so that its silence means something."""
    reached = "\n".join(pages)
    for part in (
        "/rca/",
        "/rca/pdf/",
        "/maintenance/MW-",
        "/reports/2026-03/",
        "/pdf/",
        "/csv/",
        "/status/own-",
        "/bridge/",
        "/channels/",
        "/log/",
    ):
        assert part in reached, part
    for kind in ("mail", "webhook", "feed", "report", "post"):
        assert any(where.startswith(kind) for where in everything), kind
    for where in ("/", "/status/", "/reports/2026-03/"):
        assert own.encode() in pages[where], where
