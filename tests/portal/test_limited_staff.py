"""Staff who look after some organisations only: at no door a byte of another one."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from incidents import actions, audiences, notify, oncall
from incidents.defaults import plan_for, vendor_organisation
from incidents.models import (
    RCA,
    Alarm,
    AlarmSource,
    Article,
    CommunicationPlan,
    InboundMessage,
    Incident,
    IncidentEvent,
    Shift,
    SupportPlan,
)
from maintenance import audiences as window_audiences
from maintenance import notify as window_notify
from maintenance.actions import enter_freeze
from maintenance.models import Freeze
from portal import announcing, rights
from portal.endpoint_health import who_looks_after
from portal.models import (
    BusinessCalendar,
    Endpoint,
    Organisation,
    OutboxMessage,
    Service,
    ServiceSubscription,
    StaffLimit,
    Team,
    User,
)
from portal.outbox import tell_staff
from portal.verbs import Refused
from tests import alarm_senders, factories
from tests.conftest import T0
from tests.incidents.test_stranger import Writes
from tests.journeys.test_leaks import (  # noqa: F401 (fixtures)
    HREF,
    INTERNAL,
    WORDS,
    nouns,
    readable,
    readers,
    stage,
    told,
)
from tests.maintenance import world as windows

OTHER = "zebra-9c1d"  # stands in everything of Nordwind
NOTE = f"{INTERNAL}: {' '.join(WORDS.values())}"  # what a colleague wrote on Acme's own incident
# What was walked already but for its order, and what leads elsewhere.
WALKED = re.compile(
    r"^/(accounts|static|calendar)/|/jsi18n/|/logout|/password_change/|[?&](o|p|e|view|show)="
)


def limited(organisation, role="agent", email="lim@briqmind.example"):
    """A member of the staff who looks after one organisation."""
    made = factories.agent(email, "Lim Ited", role, is_limited=True)
    StaffLimit.objects.create(user=made, organisation=organisation)
    return made


@pytest.fixture
def lim(acme):
    return limited(acme)


@pytest.fixture
def head(acme):
    return limited(acme, "head_of_support", "limhead@briqmind.example")


@pytest.fixture
def root_of_acme(acme):
    return limited(acme, "administrator", "limroot@briqmind.example")


@pytest.fixture
def desk(client, lim):
    client.force_login(lim)
    return client


@pytest.fixture(autouse=True)
def _at_t0(request, settings):
    settings.SUPPORT_COUNTRY = ""
    if "stage" in request.fixturenames:  # it has a clock of its own
        yield
        return
    with time_machine.travel(T0, tick=True):
        yield


@pytest.fixture
def other(b1, nordwind, g1, g2, h1):
    """One row of each kind that is Nordwind's alone, with its word: {label: row}."""
    Organisation.objects.filter(pk=nordwind.pk).update(name=f"Nordwind {OTHER}")
    nordwind.refresh_from_db()
    User.objects.filter(pk=b1.pk).update(name=f"Bo {OTHER}")
    made = incident_of(b1)
    source, _token = alarm_senders.source("generic", organisation=nordwind, name=f"Source {OTHER}")
    alarm = Alarm.objects.create(
        source=source, fingerprint="f", title=OTHER, first_at=T0, last_at=T0, incident=made
    )
    article = factories.article(g1, T0, slug="of-other", organisation=nordwind)
    plan = SupportPlan.objects.get(organisation=nordwind)
    own_plan = CommunicationPlan.objects.create(name=f"Plan {OTHER}")
    calendar = BusinessCalendar.objects.create(name=f"Calendar {OTHER}")
    SupportPlan.objects.filter(pk=plan.pk).update(communication_plan=own_plan, calendar=calendar)
    service = Service.objects.create(name=f"Service {OTHER}", slug="service-of-other")
    ServiceSubscription.objects.create(organisation=nordwind, service=service)
    freeze = enter_freeze(
        nordwind, starts_at=T0, ends_at=T0 + timedelta(days=9), reason=OTHER, by=b1, now=T0, channel="portal"
    )
    mail = InboundMessage.objects.create(
        kind="mail", via="pipe", dedupe_key="o", received_at=T0, state="held", sender=f"x@{OTHER}.example",
        subject=OTHER, incident=made,
    )  # fmt: skip
    nobodys = InboundMessage.objects.create(
        kind="mail", via="pipe", dedupe_key="n", received_at=T0, state="held", sender=f"y@{OTHER}.example",
        subject=OTHER,
    )  # fmt: skip
    news = announcing.write(
        by=g1, now=T0, title=OTHER, text=OTHER, audience="organisations", organisations=[nordwind]
    )
    window = windows.announced(g1, g2, services=[(service, "outage")], title=f"Work {OTHER}")
    rca = RCA.objects.create(incident=made, owed_since=T0)
    return {
        "incidents.incident": made,
        "incidents.alarmsource": source,
        "incidents.alarm": alarm,
        "incidents.article": article,
        "incidents.supportplan": plan,
        "incidents.communicationplan": own_plan,
        "incidents.inboundmessage": mail,
        "nobody's mail": nobodys,
        "incidents.rca": rca,
        "maintenance.freeze": freeze,
        "maintenance.maintenancewindow": window,
        "portal.announcement": news,
        "portal.businesscalendar": calendar,
        "portal.endpoint": factories.webhooks(nordwind, name=f"Machine {OTHER}"),
        "portal.organisation": nordwind,
        "portal.outboxmessage": OutboxMessage.objects.filter(subject_key=made.reference).first(),
        "portal.service": service,
        "portal.user": b1,
    }


def incident_of(person):
    return factories.incident(person, T0, title=f"Broken {OTHER}")


def address(label, page, *args):
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


def walk(user, *starts, most=250):
    """Every page that leads from the desk, by GET."""
    client = Client()
    client.force_login(user)
    found, waiting = {}, list(starts)
    while waiting:
        path = waiting.pop(0)
        if path in found or WALKED.search(path) or len(found) > most:
            continue
        answer = client.get(path, follow=True)
        assert answer.status_code in (200, 403, 404, 405), (path, answer.status_code)
        content = b"".join(answer) if answer.streaming else answer.content
        found[path] = readable(content) + str(answer.headers).encode()
        if "html" not in answer.get("Content-Type", ""):
            continue
        for href in HREF.findall(content.decode()):
            href = href.replace("&amp;", "&").replace("http://testserver", "")
            if href.startswith("/") and not href.startswith("//"):
                waiting.append(href)
            elif href.startswith("?"):
                waiting.append(path.partition("?")[0] + href)
    return found


# --- the walk ---


def test_no_byte_of_another_organisation_reaches_limited_staff(readers):  # noqa: F811
    acme = readers["acme"].memberships.get().organisation
    user = limited(acme, "administrator")
    own = Incident.objects.get(organisation=acme)
    person = readers["acme"]
    starts = [
        address("incidents.incident", "change", own.pk),
        address("portal.organisation", "change", acme.pk),
        address("portal.organisation", "history", acme.pk),
        address("portal.user", "change", person.pk),
        address("incidents.incident", "changelist"),
        address("incidents.rca", "changelist"),
        address("incidents.inboundmessage", "changelist"),
        address("maintenance.maintenancewindow", "changelist"),
    ]
    starts = [
        *starts,
        f"{starts[4]}?q=a",
        own.get_absolute_url(),
        "/reports/2026-03/",
        "/reports/all/2026-03/",
    ]
    pages = walk(user, *starts, "/admin/", "/status/", "/reports/", "/announcements/")
    others = [word for slug, word in WORDS.items() if slug != "acme"]
    leaks = []
    for where, content in (pages | nouns(user)).items():
        text = content.decode("utf-8", "replace").replace(NOTE, "")
        leaks += [(where, text[max(0, text.find(word) - 150) :][:300]) for word in others if word in text]
    assert leaks == []
    reached = "\n".join(pages)
    for part in (
        "/admin/incidents/incident/", "/do/", "/admin/portal/organisation/", "/admin/portal/user/",
        "/admin/maintenance/freeze/", "/admin/portal/endpoint/", "/history/", "/admin/incidents/supportplan/",
        "/maintenance/MW-", "/reports/2026-03/", "/rca/",
    ):  # fmt: skip
        assert part in reached, part
    assert any(
        WORDS["acme"].encode() in content for where, content in pages.items() if where.startswith("/admin/")
    )


def test_no_canary_on_the_desk_of_limited_staff_whatever_their_role(other, a1, acme, lim, head, root_of_acme):
    factories.incident(a1, T0)
    for user in (lim, head, root_of_acme):
        pages = walk(user, "/admin/", "/status/", "/reports/", most=70)
        assert [where for where, content in pages.items() if OTHER.encode() in content] == []
        assert len(pages) > 60


# --- door by door ---


def test_a_guessed_id_is_not_found_on_the_desk(desk, other):
    labels = {**other, "incidents.inboundmessage": other["nobody's mail"]}
    for rows in (other, labels):
        for label, row in rows.items():
            if "." not in label:
                continue
            for page in ("change", "history", "delete"):
                status = desk.get(address(label, page, row.pk)).status_code
                assert status in (403, 404), (label, page, status)
            if hasattr(row, "history"):
                version = row.history.first().pk if row.history.exists() else 1
                made = desk.get(address(label, "simple_history", row.pk, version))
                assert made.status_code == 404, label


def test_the_history_of_what_was_deleted_is_not_found(desk, acme, nordwind, h1):
    gone = AlarmSource.objects.create(name=f"Gone {OTHER}", kind="generic", organisation=nordwind)
    pk = gone.pk
    gone.delete()
    assert desk.get(address("incidents.alarmsource", "history", pk)).status_code == 404
    desk.force_login(h1)
    assert desk.get(address("incidents.alarmsource", "history", pk)).status_code == 200


VERBS = [
    ("incidents.incident", "do", ["add_note"], {"text": "x"}),
    ("incidents.incident", "timeline", [], {}),
    ("incidents.incident", "now", [], {}),
    ("incidents.incident", "outage", [], {}),
    ("incidents.incident", "outage_act", ["update"], {}),
    ("incidents.rca", "text", [], {}),
    ("incidents.rca", "do", ["draft_rca"], {}),
    ("incidents.rca", "answer", [], {"organisation": "nordwind", "text": "x"}),
    ("incidents.rca", "as", ["nordwind"], {}),
    ("incidents.inboundmessage", "decide", ["discard"], {"reason": "x"}),
    ("incidents.inboundmessage", "again", [], {}),
    ("incidents.inboundmessage", "raw", [], {}),
    ("maintenance.maintenancewindow", "edit", [], {}),
    ("maintenance.maintenancewindow", "do", ["cancel"], {"reason": "x"}),
    ("maintenance.maintenancewindow", "timeline", [], {}),
    ("maintenance.maintenancewindow", "now", [], {}),
    ("maintenance.freeze", "withdrawal", [], {}),
    ("portal.announcement", "do", ["withdraw"], {}),
]


def test_a_verb_by_a_guessed_id_is_not_found_and_changes_nothing(desk, other, head):
    for user in (User.objects.get(email="lim@briqmind.example"), head):
        desk.force_login(user)
        for label, page, args, data in VERBS:
            to = address(label, page, other[label].pk, *args)
            with Writes.noted() as writes:
                statuses = {desk.get(to).status_code, desk.post(to, data).status_code}
            assert statuses <= {403, 404, 405}, (to, statuses)
            assert statuses & {404} or label == "portal.announcement", (to, statuses)
            assert writes == [], to


def test_lists_counts_and_searches_hold_only_what_is_looked_after(desk, other, a1, root_of_acme):
    own = factories.incident(a1, T0)
    desk.force_login(root_of_acme)
    for label in (name for name in other if "." in name):
        if rights.of_model(label).of == rights.UNLIMITED:
            assert desk.get(address(label, "changelist")).status_code == 403, label
            continue
        for query in ({}, {"q": OTHER[:5]}, {"q": other["incidents.incident"].reference}, {"show": "all"}):
            answer = desk.get(address(label, "changelist"), query)
            assert OTHER.encode() not in answer.content, label
            rows = answer.context["cl"].queryset if answer.context and "cl" in answer.context else []
            assert other[label] not in list(rows), label
    queue = desk.get(address("incidents.incident", "changelist"))
    assert list(queue.context["cl"].queryset) == [own]
    index = desk.get("/admin/")
    assert {view["title"]: str(view["count"]) for view in index.context["views"]}["Open"] == "1"
    assert (index.context["held"], index.context["set_aside"]) == (0, 0)


def test_a_filter_offers_no_name_of_another_organisation(desk, other, a1, h1):
    factories.incident(a1, T0)
    to = address("incidents.incident", "changelist")
    assert OTHER.encode() not in desk.get(to).content
    chosen = {"organisation__id__exact": other["portal.organisation"].pk}
    answer = desk.get(to, chosen)
    assert other["incidents.incident"] not in list(answer.context["cl"].queryset)
    assert OTHER.encode() not in answer.content
    desk.force_login(h1)
    assert OTHER.encode() in desk.get(to, chosen).content


def test_completions_and_choices_hold_only_what_is_looked_after(client, other, head, h1, a1):
    plan_for(a1.memberships.get().organisation, T0)
    labels = [
        ("incidents.supportplan", "organisation"),
        ("incidents.supportplan", "communication_plan"),
        ("incidents.supportplan", "calendar"),
        ("portal.membership", "user"),
        ("portal.servicesubscription", "service"),
        ("incidents.alarmsource", "organisation"),
        ("portal.endpoint", "organisation"),
        ("incidents.article", "organisation"),
    ]
    for label, field in labels:
        app, model = label.split(".")
        query = {"app_label": app, "model_name": model, "field_name": field, "term": ""}
        to = reverse("admin:autocomplete")
        client.force_login(head)
        assert OTHER not in client.get(to, query).content.decode(), label
        client.force_login(h1)
        assert OTHER in client.get(to, query).content.decode(), label


def test_a_crafted_id_of_another_organisation_is_no_choice(client, other, head, a1, acme):
    client.force_login(head)
    plan = SupportPlan.objects.get(organisation=plan_for(acme, T0).organisation)
    theirs = other["incidents.supportplan"]
    theirs.refresh_from_db()
    given = {
        "organisation": acme.pk,
        "policy_version": plan.policy_version_id,
        "calendar": plan.calendar_id,
        "communication_plan": plan.communication_plan_id,
    }
    to = address("incidents.supportplan", "change", plan.pk)
    for wrong in (
        {"organisation": theirs.organisation_id},
        {"communication_plan": theirs.communication_plan_id},
        {"calendar": theirs.calendar_id},
    ):
        answer = client.post(to, given | wrong)
        assert answer.status_code == 200
        assert answer.context["errors"]
    assert client.post(to, given).status_code == 302


def test_filing_and_forms_of_the_desk_know_only_their_organisations(desk, other, a1, acme, b1):
    to = address("incidents.incident", "add")
    assert OTHER not in desk.get(to).content.decode()
    data = {"reporter": b1.email, "title": "x", "claimed_level": "P2", "impact": "degraded"}
    theirs = data | {"organisation": other["portal.organisation"].pk}
    assert desk.post(to, theirs).status_code == 400
    own = data | {"organisation": acme.pk, "reporter": a1.email}
    assert desk.post(to, own).status_code == 302
    assert desk.post(to, own | {"services": [other["portal.service"].pk]}).status_code == 400
    to = address("maintenance.freeze", "add")
    assert OTHER not in desk.get(to).content.decode()
    given = {"starts_at": "2026-03-09T10:00", "ends_at": "2026-03-09T12:00", "reason": "x"}
    before = Freeze.objects.count()
    assert desk.post(to, given | {"organisation": other["portal.organisation"].pk}).status_code == 400
    assert Freeze.objects.count() == before
    assert desk.post(to, given | {"organisation": acme.pk}).status_code == 302


def test_a_verb_s_form_names_no_incident_or_article_of_another_organisation(desk, other, a1):
    made = factories.incident(a1, T0)
    theirs = other["incidents.incident"]
    article = other["incidents.article"]
    to = address("incidents.incident", "do", made.pk, "mark_duplicate")
    answer = desk.post(to, {"original": theirs.reference, "reason": "x"})
    invented = desk.post(to, {"original": "INC-999999", "reason": "x"})
    assert (answer.status_code, invented.status_code) == (400, 400)
    assert answer.context["form"].errors == invented.context["form"].errors
    to = address("incidents.incident", "do", made.pk, "document_solution")
    assert article.slug not in desk.get(to).content.decode()
    assert desk.post(to, {"article": article.pk, "text": "x"}).status_code == 400
    assert Article.objects.filter(pk=article.pk).exists()


def test_what_came_in_is_decided_by_those_who_look_after_it(desk, other, a1, b1, acme):
    made = factories.incident(a1, T0)
    mail = InboundMessage.objects.create(
        kind="mail", via="pipe", dedupe_key="own", received_at=T0, state="held", sender=a1.email,
        subject="Own", incident=made,
    )  # fmt: skip
    shown = list(desk.get(address("incidents.inboundmessage", "changelist")).context["cl"].queryset)
    assert shown == [mail]
    to = address("incidents.inboundmessage", "decide", mail.pk, "note")
    assert desk.post(to, {"incident": other["incidents.incident"].reference}).status_code == 400
    to = address("incidents.inboundmessage", "decide", mail.pk, "open")
    given = {"organisation": other["portal.organisation"].pk, "person": b1.email, "level": "P2"}
    assert desk.post(to, given).status_code == 400
    assert desk.post(to, given | {"organisation": acme.pk}).status_code == 400
    mail.refresh_from_db()
    assert mail.state == "held"


def test_an_outage_is_of_many_customers_and_closed_to_limited_staff(desk, lim, a1, b1, g1, acme, nordwind):
    own, theirs = factories.incident(a1, T0), factories.incident(b1, T0)
    parent, _outcome = actions.open_parent(
        [own, theirs], title=OTHER, level="P1", services=own.services.all(), by=g1, now=T0, channel="admin"
    )
    assert desk.get(address("incidents.incident", "outage", parent.pk)).status_code == 404
    assert desk.get(address("incidents.incident", "outage", own.pk)).status_code == 403
    page = desk.get(address("incidents.incident", "change", own.pk)).content.decode()
    assert OTHER not in page
    assert parent.reference not in page
    with pytest.raises(Refused):
        actions.detach_child(parent, own, by=lim, now=T0, channel="admin")
    with pytest.raises(Refused):
        actions.open_parent(
            [own], title="x", level="P1", services=own.services.all(), by=lim, now=T0, channel="admin"
        )
    assert Incident.objects.filter(organisation=vendor_organisation(T0)).count() == 1
    StaffLimit.objects.create(user=lim, organisation=vendor_organisation(T0))  # of itself it opens nothing
    assert list(Incident.objects.visible_to(lim)) == [own]


def test_verbs_refuse_limited_staff_at_every_door(lim, a1, b1, nordwind, g1, g2):
    window = windows.announced(g1, g2)
    theirs = factories.incident(b1, T0)
    with pytest.raises(Refused):
        actions.add_note(theirs, by=lim, now=T0, channel="admin", text="x")
    assert actions.may("reply", theirs, lim)
    with pytest.raises(Refused):
        actions.open_incident(
            organisation=nordwind, reporter=b1, by=lim, now=T0, channel="api", title="x", claimed_level="P2"
        )
    with pytest.raises(Refused):
        enter_freeze(
            nordwind, starts_at=T0, ends_at=T0 + timedelta(1), reason="x", by=lim, now=T0, channel="admin"
        )
    with pytest.raises(Refused):
        windows.actions.cancel(window, reason="x", by=lim, now=T0, channel="admin")
    with pytest.raises(Refused):
        windows.draft(lim)
    rca = RCA.objects.create(incident=theirs, owed_since=T0)
    with pytest.raises(Refused):
        actions.draft_rca(rca, by=lim, now=T0, channel="admin")
    news = announcing.write(by=g1, now=T0, title="x", text="x", audience="all")
    with pytest.raises(Refused):
        announcing.withdraw(news, by=lim, now=T0)
    own = factories.incident(a1, T0)
    actions.add_note(own, by=lim, now=T0, channel="admin", text="mine")


def test_limited_staff_read_a_window_as_their_customers_do(desk, lim, acme, nordwind, g1, g2, a1):
    made = windows.announced(g1, g2)
    windows.actions.post(made, text="Inside only", is_public=False, **windows.by(g1, T0, "admin"))
    enter_freeze(
        nordwind,
        starts_at=windows.START,
        ends_at=windows.END,
        reason=OTHER,
        by=factories.person("n@nordwind.example", f"N {OTHER}", nordwind, "manager"),
        now=T0,
        channel="portal",
    )
    answer = desk.get(address("maintenance.maintenancewindow", "change", made.pk))
    assert (answer.status_code, answer.url) == (302, made.get_absolute_url())
    page = desk.get(made.get_absolute_url()).content.decode()
    assert made.title in page
    assert OTHER not in page
    assert "Inside only" not in page
    hidden = windows.draft(g1, title="Not announced")
    assert desk.get(hidden.get_absolute_url()).status_code == 404
    assert desk.get(address("maintenance.maintenancewindow", "change", hidden.pk)).status_code == 404
    assert desk.get(address("maintenance.maintenancewindow", "add")).status_code == 403
    assert desk.get(address("maintenance.maintenancewindow", "check")).status_code == 403
    assert desk.get(address("maintenance.maintenancewindow", "do", made.pk, "cancel")).status_code == 403


# --- who takes and hears what ---


def test_an_incident_is_given_to_nobody_who_may_not_see_it(client, lim, a1, b1, g1, acme):
    theirs, own = factories.incident(b1, T0), factories.incident(a1, T0)
    client.force_login(g1)
    with pytest.raises(Refused) as refused:
        actions.assign(theirs, by=g1, now=T0, channel="admin", assignee=lim)
    assert "does not look after" in refused.value.reason
    with pytest.raises(Refused):
        actions.start_intervention(theirs, by=g1, now=T0, channel="admin", engineer=lim)
    form = client.get(address("incidents.incident", "do", theirs.pk, "assign")).content.decode()
    assert lim.name not in form
    assert lim.name in client.get(address("incidents.incident", "do", own.pk, "assign")).content.decode()
    api = APIClient()
    api.force_authenticate(g1)
    given = {"assignee": lim.email}
    assert api.post(f"/api/v1/incidents/{theirs.reference}/assignment/", given).status_code == 400
    actions.assign(own, by=g1, now=T0, channel="admin", assignee=lim)
    assert own.assignee == lim


def test_limited_staff_are_on_no_rota(lim, head, g1):
    assert lim not in oncall.staff()
    shift = Shift(role="on_call", person=lim, from_at=T0, until_at=T0 + timedelta(hours=8))
    with pytest.raises(ValidationError):
        shift.full_clean()
    shift = Shift.objects.create(role="on_call", person=g1, from_at=T0, until_at=T0 + timedelta(hours=8))
    with pytest.raises(oncall.RotaError):
        oncall.hand_over(shift, to=lim, now=T0)
    User.objects.filter(pk=g1.pk).update(is_limited=True)  # somebody limits them while they are on duty
    other = factories.agent("free@briqmind.example", "Fay Free")
    assert oncall.on_duty("on_call", T0) == [other]
    assert oncall.on_duty("head_of_support", T0) == [other]
    Shift.objects.filter(pk=shift.pk).update(person=other, backup=lim)
    assert oncall.backup_of("on_call", T0) is None


def test_limited_staff_hear_only_of_what_they_look_after(lim, a1, b1, g1, acme, mailoutbox):
    window = windows.announced(g1, factories.agent("two@briqmind.example", "Two"))
    own, theirs = factories.incident(a1, T0), factories.incident(b1, T0)
    assert lim in audiences.people("team", own, T0)
    assert lim not in audiences.people("team", theirs, T0)
    assert audiences.why_not_involved(lim, own) == ""
    assert audiences.why_not_involved(lim, theirs)
    Incident.objects.filter(pk=theirs.pk).update(assignee=lim)  # as before they were limited
    theirs.refresh_from_db()
    assert lim not in audiences.owners(theirs, T0)
    event = IncidentEvent.objects.filter(incident=theirs).first()
    message = OutboxMessage(kind="staff_opened", recipient=lim, facts={"event": event.pk})
    assert "may not see" in notify.why_not(message)
    assert lim not in window_audiences.staff()
    queued = OutboxMessage(
        kind="staff_maintenance_overrun", recipient=lim, facts={"event": window.events.first().pk}
    )
    assert window_notify.why_not(queued)
    lost = OutboxMessage.objects.first()
    User.objects.filter(pk=lim.pk).update(staff_role="duty_manager")
    duty = factories.agent("duty@briqmind.example", "Dut Y", "duty_manager")
    tell_staff(lost, T0)
    heard = OutboxMessage.objects.filter(kind="outbox_alarm").values_list("recipient", flat=True)
    assert list(heard) == [duty.pk]
    pager = Endpoint.objects.create(name="Team", url="https://hooks.example.com/t", secret="whsec_aHVzaA==")
    assert who_looks_after(pager) == [duty]


# --- the API ---


def test_the_api_gives_limited_staff_nothing_of_others(lim, other, a1, acme):
    own = factories.incident(a1, T0)
    api = APIClient()
    api.force_authenticate(lim)
    for noun in (
        "incidents", "maintenance-windows", "freezes", "announcements", "articles", "services", "organisations",
        "reports",
    ):  # fmt: skip
        answer = api.get(f"/api/v1/{noun}/")
        assert (answer.status_code, OTHER in answer.content.decode()) == (200, False), noun
    assert [row["reference"] for row in api.get("/api/v1/incidents/").json()["results"]] == [own.reference]
    theirs, window = other["incidents.incident"], other["maintenance.maintenancewindow"]
    for path in (
        f"incidents/{theirs.reference}/", f"incidents/{theirs.reference}/events/", f"incidents/{theirs.reference}/rca/",
        f"maintenance-windows/{window.reference}/", f"freezes/{other['maintenance.freeze'].pk}/",
        f"announcements/{other['portal.announcement'].pk}/", "articles/of-other/", "services/service-of-other/",
        "organisations/nordwind/",
    ):  # fmt: skip
        assert api.get(f"/api/v1/{path}").status_code == 404, path
    assert api.get(f"/api/v1/incidents/{own.reference}/children/").status_code == 403
    given = {
        "title": "x",
        "claimed_level": "P2",
        "organisation": "nordwind",
        "reporter": "b1@nordwind.example",
    }
    assert api.post("/api/v1/incidents/", given).status_code == 400
    notes = api.post(f"/api/v1/incidents/{theirs.reference}/notes/", {"text": "x"})
    assert notes.status_code == 404


# --- who sets the limit ---


def limits_form(person, *organisations, **more):
    fields = {"email": person.email, "name": person.name, "staff_role": person.staff_role, "is_staff": "on"}
    fields |= {"is_active": "on", "daily_summary_hour": "8"} | more
    fields |= {"staff_limits-TOTAL_FORMS": len(organisations), "staff_limits-INITIAL_FORMS": 0}
    for number, organisation in enumerate(organisations):
        fields[f"staff_limits-{number}-organisation"] = organisation.pk
    return fields


def test_administrators_limit_staff_and_nobody_lifts_their_own(client, acme, nordwind, g1, root_of_acme):
    administrator = factories.agent("admin@briqmind.example", "Ayla Admin", "administrator")
    client.force_login(administrator)
    to = address("portal.user", "change", g1.pk)
    assert client.post(to, limits_form(g1, acme, is_limited="on")).status_code == 302
    g1.refresh_from_db()
    assert g1.is_limited
    assert list(Organisation.objects.visible_to(g1)) == [acme]
    vendor = vendor_organisation(T0)
    assert client.post(to, limits_form(g1, vendor, is_limited="on")).status_code == 200
    own = address("portal.user", "change", administrator.pk)
    assert client.post(own, limits_form(administrator, acme, is_limited="on")).status_code == 302
    administrator.refresh_from_db()
    assert (administrator.is_limited, administrator.staff_limits.count()) == (False, 0)
    client.force_login(root_of_acme)
    for person in (root_of_acme, g1, administrator):
        answer = client.post(address("portal.user", "change", person.pk), limits_form(person, nordwind))
        assert answer.status_code == 403
    assert client.get(address("portal.user", "add")).status_code == 403
    assert list(root_of_acme.staff_limits.values_list("organisation", flat=True)) == [acme.pk]


def test_other_staff_s_limits_name_no_organisation_to_limited_staff(client, other, root_of_acme, acme):
    colleague = limited(other["portal.organisation"], email="nord@briqmind.example")
    client.force_login(root_of_acme)
    page = client.get(address("portal.user", "change", colleague.pk))
    assert page.status_code == 200
    assert OTHER.encode() not in page.content


def test_the_teams_of_a_membership_are_the_organisation_s_own(client, acme, nordwind, a1, h1):
    own = Team.objects.create(organisation=acme, name="Night")
    theirs = Team.objects.create(organisation=nordwind, name=f"Day {OTHER}")
    client.force_login(h1)
    to = address("portal.organisation", "change", acme.pk)
    page = client.get(to).content.decode()
    assert own.name in page
    assert OTHER not in page
    member = a1.memberships.get()
    data = {
        "name": "Acme",
        "slug": "acme",
        "language": "en",
        "time_zone": "Europe/Istanbul",
        "is_active": "on",
    }
    for prefix in ("teams", "subscriptions"):
        data |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    row = {"id": member.pk, "organisation": acme.pk, "user": a1.pk, "role": "member", "visibility": "team"}
    data |= {"memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1}
    for team, status in ((theirs, 200), (own, 302)):
        given = {f"memberships-0-{name}": value for name, value in (row | {"team": team.pk}).items()}
        assert client.post(to, data | given).status_code == status
    member.refresh_from_db()
    assert member.team == own


def test_every_model_of_the_desk_says_whose_its_rows_are(lim):
    for model in admin.site._registry:
        of = rights.of_model(model._meta.label_lower).of
        assert model._meta.label_lower in rights.OF_MODELS, model
        if of == rights.VISIBLE:
            assert model._default_manager.visible_to(lim) is not None
