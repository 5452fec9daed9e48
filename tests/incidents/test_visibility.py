"""Restricted visibility: each door, for who sees all, their team's or their own, with incidents of all three kinds.

Solo sees their own, Tess those of her team, a1 all. What somebody may not see is in no byte of what they get.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from incidents import actions, audiences, sight, summaries
from incidents.actions.base import actor_of
from incidents.defaults import plan_for
from incidents.intake import inbox, senders
from incidents.models import RCA, InboundMessage, Incident, RCACopy, SupportPlan, Watcher
from incidents.rca_reading import copies_for_incident, prevented_by, reading
from incidents.rules import Actor
from portal import outbox
from portal.models import Membership, OutboxMessage, ServiceImpact, Team, User
from tests.chat_senders import channel, event, knows, slack, thread
from tests.conftest import T0
from tests.factories import agent, incident, person
from tests.incidents.rca_world import one_action, published
from tests.mails import arrive, token_of, written

pytestmark = pytest.mark.django_db
HIDDEN = "hidden-5e1d"
SEES = {"a1": ("own", "team", "other"), "tess": ("own", "team"), "solo": ("own",)}


@pytest.fixture(autouse=True)
def at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def team(acme):
    return Team.objects.create(organisation=acme, name="Payments")


def placed(acme, name, visibility, team=None):
    made = person(f"{name}@acme.example", name.title(), acme, "member")
    Membership.objects.filter(user=made).update(visibility=visibility, team=team)
    return made


@pytest.fixture
def solo(acme):
    return placed(acme, "solo", "own")


@pytest.fixture
def tess(acme, team):
    return placed(acme, "tess", "team", team)


@pytest.fixture
def kit(acme, team):
    return placed(acme, "kit", "team", team)


@pytest.fixture(params=list(SEES))
def reader(request, acme):
    found = request.getfixturevalue(request.param)
    found.sees = SEES[request.param]
    return found


@pytest.fixture
def made(reader, kit, a2, g1):
    """One of the reader's own, one of a colleague of the team, one of somebody else; each with a file and words."""

    def filed(by, name):
        title = f"{name} {HIDDEN if name not in reader.sees else 'shown'}"
        upload = SimpleUploadedFile(f"{title}.txt", title.encode())
        found = incident(by, T0, title=title, description=title, files=[upload])
        actions.reply(found, by=g1, now=T0, channel="admin", text=title)
        return found

    return {"own": filed(reader, "own"), "team": filed(kit, "team"), "other": filed(a2, "other")}


def hidden(reader, made):
    return [made[name] for name in made if name not in reader.sees]


def shown(reader, made):
    return [made[name] for name in reader.sees]


def test_filing_gives_the_incident_the_reporter_s_team(reader, made, team):
    assert made["team"].team == team
    assert made["other"].team is None


def test_both_directions_of_the_rule_agree(reader, made, a2, a3, kit, b1, nordwind):
    """`visible_to` of a person, and `who_may_see` of an incident."""
    made["foreign"] = incident(b1, T0)
    for one in made.values():
        people = set(sight.who_may_see(one))
        for user in User.objects.all():
            is_customer = not user.is_agent
            sees = Incident.objects.visible_to(user).filter(pk=one.pk).exists()
            assert (user in people) == (sees and is_customer), (user, one)
            assert sight.may_see(user, one) == sees


def test_pages_and_api_open_what_is_seen_and_nothing_else(client, reader, made):
    client.force_login(reader)
    nouns = ["", "now/", "timeline/", "rca/", "original/", "bridge/", "replies/", "team/", "watchers/"]
    api = [
        "",
        "events/",
        "clocks/",
        "replies/",
        "status-updates/",
        "attachments/",
        "rca/",
        "watchers/",
        "bridge/",
    ]
    for one in hidden(reader, made):
        addresses = [f"/incidents/{one.reference}/{noun}" for noun in nouns]
        addresses += [f"/incidents/{one.reference}/attachments/{one.attachments.get().pk}/"]
        addresses += [f"/api/v1/incidents/{one.reference}/{noun}" for noun in api]
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 404, address
            assert HIDDEN not in answer.content.decode(), address
    for one in shown(reader, made):
        assert client.get(one.get_absolute_url()).status_code == 200
        file = client.get(f"/incidents/{one.reference}/attachments/{one.attachments.get().pk}/")
        assert b"".join(file) == one.title.encode()
        assert client.get(f"/api/v1/incidents/{one.reference}/").status_code == 200


def test_nothing_is_written_where_nothing_is_seen(client, reader, made):
    client.force_login(reader)
    for one in hidden(reader, made):
        before = one.events.count()
        for noun in ("replies", "withdrawal", "escalation", "watchers", "team"):
            assert (
                client.post(f"/incidents/{one.reference}/{noun}/", {"text": "x", "do": "watch"}).status_code
                == 404
            )
        assert client.post(f"/api/v1/incidents/{one.reference}/replies/", {"text": "x"}).status_code == 404
        for verb, given in (("reply", {"text": "x"}), ("withdraw", {"reason": "x"}), ("watch", {})):
            with pytest.raises(actions.Refused) as refused:
                getattr(actions, verb)(one, by=reader, now=T0, channel="portal", **given)
            assert refused.value.kind == "permission"
        assert actor_of(reader, one) == Actor()
        assert one.events.count() == before


def test_lists_counts_search_and_home_hold_what_is_seen(client, reader, made):
    client.force_login(reader)
    wanted = {one.reference for one in shown(reader, made)}
    listed = client.get("/api/v1/incidents/").json()
    assert ([row["reference"] for row in listed["results"]], listed["next"]) == (
        sorted(wanted, reverse=True),
        None,
    )
    page = client.get("/incidents/", {"show": "all"})
    assert page.context["page"].count.number == len(wanted)
    assert client.get("/api/v1/incidents/", {"q": HIDDEN}).json()["results"] == []
    for address in ("/", "/incidents/", "/incidents/?show=all", f"/incidents/?q={HIDDEN}", "/status/"):
        text = (
            client.get(address).content.decode().replace(f"q={HIDDEN}", "").replace(f'value="{HIDDEN}"', "")
        )
        text = text.replace(f"Search: {HIDDEN}", "").replace(f"Remove Search: {HIDDEN}", "")
        assert HIDDEN not in text, address
    named = hidden(reader, made)[:1]
    for one in named:
        found = client.get("/incidents/", {"q": one.reference, "show": "all"}).context["page"]
        assert (found.rows, found.count.number) == ([], 0)


def test_the_status_page_names_no_incident_that_is_not_seen(client, reader, made, acme):
    assert ServiceImpact.objects.filter(organisation=acme).exists()
    client.force_login(reader)
    slug = made["own"].services.first().slug
    for address in ("/status/", f"/status/{slug}/"):
        text = client.get(address).content.decode()
        assert HIDDEN not in text
        for one in hidden(reader, made):
            assert f"/incidents/{one.reference}/" not in text


def test_suggestions_know_articles_only(client, reader, made):
    client.force_login(reader)
    answer = client.get("/incidents/new/suggestions/", {"title": f"other {HIDDEN}"})
    assert HIDDEN not in answer.content.decode()


# --- who hears ---


def test_no_role_of_the_plan_reaches_whoever_does_not_see_it(reader, made):
    User.objects.filter(pk=reader.pk).update(hears_all_incidents=True)
    Membership.objects.filter(user=reader).update(is_p1_contact=True, is_escalation_contact=True)
    for name, one in made.items():
        one.messages.create(
            kind="reply", author=reader, text="x", received_at=T0, channel="portal", incident=one
        )
        for role in ("participants", "subscribers", "p1_contacts", "escalation_contacts"):
            assert (reader in getattr(audiences, role)(one)) == (name in reader.sees), (role, name)


def test_the_daily_summary_holds_what_is_seen(reader, made):
    assert set(summaries.open_incidents(reader)) == set(shown(reader, made))
    User.objects.filter(pk=reader.pk).update(has_daily_summary=True, daily_summary_hour=0)
    summaries.send_daily_summaries(T0)
    outbox.sweep(T0)
    text = OutboxMessage.objects.get(kind="daily_summary").text
    assert HIDDEN not in text
    assert made["own"].reference in text


def test_what_waits_is_not_sent_to_whoever_may_not_see_it_any_more(acme, team, tess, kit, g1):
    made = incident(kit, T0)
    actions.reply(made, by=tess, now=T0, channel="portal", text="me too")
    actions.reply(made, by=g1, now=T0, channel="admin", text="words")
    waiting = OutboxMessage.objects.filter(kind="answered", recipient=tess)
    assert waiting.exists()
    Membership.objects.filter(user=tess).update(visibility="own", team=None)
    outbox.sweep(T0)
    assert {(row.state, row.state_reason) for row in waiting} == {
        ("dropped", "the recipient may not see the incident")
    }


def test_limited_staff_hear_of_their_organisations_only(a1, b1, nordwind):
    limited = agent("lim@briqmind.example", "Lim", is_limited=True)
    limited.staff_limits.create(organisation=nordwind)
    mine, other = incident(b1, T0), incident(a1, T0)
    assert audiences.why_not_involved(limited, mine) == ""
    assert audiences.why_not_involved(limited, other) == "the recipient may not see the incident"


# --- what comes in ---


def test_a_mail_of_somebody_who_may_not_see_it_any_more_is_held(settings, acme, team, tess, kit, g1):
    settings.MAIL_DOMAIN = "support.briqmind.example"
    made = incident(kit, T0)
    actions.reply(made, by=tess, now=T0, channel="portal", text="me too")
    assert senders.doubt_of_writer(tess, made) == ""
    Membership.objects.filter(user=tess).update(visibility="own", team=None)
    assert senders.doubt_of_writer(tess, made) == senders.UNSEEN
    row = arrive(written(tess, to=token_of(made, tess), text="my words"))
    assert (row.state, row.state_reason) == ("held", senders.UNSEEN)
    assert not made.messages.filter(text__contains="my words").exists()


def test_a_message_of_the_channel_by_somebody_who_may_not_see_it_is_held(acme, solo, a2):
    made = incident(a2, T0)
    room = channel(acme)
    thread(room, made.reference, "1.1")
    knows(room, "U0SOLO", solo)
    slack(room, event("my words", user="U0SOLO", thread_ts="1.1"))
    inbox.sweep(timezone.now())
    row = InboundMessage.objects.get()
    assert (row.state, row.state_reason) == ("held", senders.UNSEEN)
    assert not made.messages.filter(text__contains="my words").exists()


# --- bridge, RCA, reports ---


def test_a_bridge_is_for_those_who_see_its_incident(client, acme, solo, tess, kit, a1, g1):
    made = incident(kit, T0)
    SupportPlan.objects.filter(organisation=acme).update(has_bridge=True)
    bridge = actions.open_bridge(made, by=kit, now=T0, channel="bridge")
    client.force_login(solo)
    assert client.get(f"/incidents/{made.reference}/bridge/").status_code == 404
    assert client.get(f"/incidents/{made.reference}/bridge/live/").status_code == 404
    with pytest.raises(actions.Refused):
        actions.join_bridge(bridge, by=solo, now=T0)
    from incidents.bridge_view import people_to_choose

    assert people_to_choose(made, bridge, g1)[1] == sorted([a1, kit, tess], key=lambda user: user.name)
    with pytest.raises(actions.Refused):
        actions.give_part(bridge, role="customer_lead", person=solo, by=g1, now=T0, channel="bridge")
    api = APIClient()
    api.force_authenticate(g1)
    given = {"part": "customer_lead", "person": solo.email}
    assert api.post(f"/api/v1/incidents/{made.reference}/bridge/parts/", given).status_code == 400


def test_an_rca_is_for_those_who_see_its_incident(client, acme, solo, tess, kit, a1, a2, g1, g2):
    made, again = incident(kit, T0), incident(a2, T0, title=f"again {HIDDEN}")
    later = T0 + timedelta(hours=1)
    actions.acknowledge(made, by=g1, now=later, channel="admin")
    rca = RCA.objects.create(incident=made, owed_since=T0)
    published(rca, g1, g2, later, texts={"root_cause": HIDDEN}, acts=[one_action(g1, text="Do it")])
    actions.link_recurrence(again, action=rca.actions.get(), by=g1, now=later, channel="admin")
    copy = RCACopy.objects.get()
    for user, sees in ((a1, True), (tess, True), (solo, False)):
        assert (copies_for_incident(made, user) == [copy]) == sees
        assert bool(prevented_by(again, user)) == sees
        client.force_login(user)
        assert client.get(f"/incidents/{made.reference}/rca/").status_code == (200 if sees else 404)
        assert (actions.may_rca("comment_rca", rca, user, acme) == "") == sees
        assert (actions.may_rca("accept_rca", rca, user, acme) == "") == sees
    [action] = reading(copy, later.date(), tess).actions
    assert action.recurrences == []
    [action] = reading(copy, later.date(), a1).actions
    assert action.recurrences == [again]
    told = OutboxMessage.objects.filter(kind="rca_published")
    assert not told.filter(recipient=solo).exists()


def test_a_mail_about_an_rca_is_dropped_for_whoever_may_not_see_it_any_more(acme, tess, kit, g1, g2):
    made = incident(kit, T0)
    later = T0 + timedelta(hours=1)
    rca = RCA.objects.create(incident=made, owed_since=T0)
    published(rca, g1, g2, later, acts=[one_action(g1)])
    waiting = OutboxMessage.objects.get(kind="rca_published", recipient=kit)
    Membership.objects.filter(user=kit).update(visibility="own", team=None)
    Incident.objects.filter(pk=made.pk).update(reporter=tess)
    outbox.sweep(later)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.state_reason) == ("dropped", "the recipient may not see the incident")


def test_the_original_of_a_duplicate_is_named_but_not_linked(client, solo, a1, a2, g1):
    original, double = incident(a2, T0, title=HIDDEN), incident(solo, T0)
    actions.mark_duplicate(double, original=original, reason="the same", by=g1, now=T0, channel="admin")
    client.force_login(solo)
    page = client.get(double.get_absolute_url())
    assert page.status_code == 200
    text = page.content.decode()
    assert original.reference in text
    assert original.get_absolute_url() not in text
    assert HIDDEN not in text
    client.force_login(a1)
    assert original.get_absolute_url() in client.get(double.get_absolute_url()).content.decode()


def test_reports_are_for_those_who_see_everything(client, solo, tess, a1, b1, acme):
    plan_for(acme, T0)
    month = "2026-03"
    incident(a1, T0)
    pages = ["/reports/", f"/reports/{month}/", f"/reports/{month}/csv/", f"/reports/{month}/pdf/"]
    for user in (solo, tess):
        client.force_login(user)
        for address in pages:
            assert client.get(address).status_code == 403, address
            assert client.get(f"{address}?organisation=acme").status_code == 403 or address == "/reports/"
        assert client.get("/api/v1/reports/").json()["results"] == []
        assert client.get(f"/api/v1/reports/{month}/").status_code == 404
        assert 'href="/reports/"' not in client.get("/").content.decode()
    client.force_login(a1)
    assert client.get("/reports/").status_code == 200
    assert client.get(f"/reports/{month}/csv/").status_code == 200
    assert client.get(f"/api/v1/reports/{month}/").status_code == 200
    assert 'href="/reports/"' in client.get("/").content.decode()
    client.force_login(b1)
    assert client.get(f"/reports/{month}/?organisation=acme").status_code == 404


def test_what_concerns_the_whole_organisation_is_no_secret_of_its_people(client, solo, acme):
    plan_for(acme, T0)
    client.force_login(solo)
    for address in ("/sla/", "/knowledge/", "/maintenance/", "/status/"):
        assert client.get(address).status_code == 200


def test_the_log_of_a_channel_is_for_managers(client, tess, acme, a2):
    from tests.factories import webhooks

    made = webhooks(acme)
    client.force_login(tess)
    assert client.get(f"/channels/{made.key}/").status_code == 403
    client.force_login(a2)
    assert client.get(f"/channels/{made.key}/").status_code == 200


# --- changing who sees it ---


def test_a_watcher_sees_it_and_a_former_one_does_not(client, solo, a1, a2):
    made = incident(a2, T0)
    client.force_login(solo)
    assert client.get(made.get_absolute_url()).status_code == 404
    actions.add_watcher(made, person=solo, by=a1, now=T0, channel="portal")
    assert client.get(made.get_absolute_url()).status_code == 200
    assert solo in sight.who_may_see(made)
    answer = client.post(f"{made.get_absolute_url()}watchers/", {"do": "unwatch"})
    assert answer.url == "/incidents/"
    assert not Watcher.objects.exists()
    assert client.get(made.get_absolute_url()).status_code == 404


def test_a_manager_moves_it_to_another_team(client, acme, team, tess, a1, a2):
    other = Team.objects.create(organisation=acme, name="Other")
    made = incident(a1, T0)
    address = f"{made.get_absolute_url()}team/"
    client.force_login(a1)
    assert client.post(address, {"team": team.pk}).status_code == 403
    client.force_login(a2)
    assert client.get(address).status_code == 200
    assert client.post(address, {"team": team.pk}).status_code == 302
    assert made.events.get(kind="team_changed").payload == {"from_id": None, "to_id": team.pk}
    assert sight.may_see(tess, made)
    api = APIClient()
    api.force_authenticate(a2)
    noun = f"/api/v1/incidents/{made.reference}/team/"
    assert api.put(noun, {"team": other.pk}).status_code == 201
    assert not sight.may_see(tess, made)
    assert api.put(noun, {"team": None}).status_code == 201
    assert "took it out of its team" in client.get(made.get_absolute_url()).content.decode()


def test_a_team_of_another_organisation_is_none(acme, nordwind, a1, a2):
    made, theirs = incident(a1, T0), Team.objects.create(organisation=nordwind, name="Theirs")
    with pytest.raises(actions.Refused):
        actions.move_to_team(made, team=theirs, by=a2, now=T0, channel="portal")
    api = APIClient()
    api.force_authenticate(a2)
    assert api.put(f"/api/v1/incidents/{made.reference}/team/", {"team": theirs.pk}).status_code == 400
    made.refresh_from_db()
    assert made.team is None
