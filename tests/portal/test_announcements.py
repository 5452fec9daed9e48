"""Announcements: written, let out by a duty manager, read by whom they are addressed to and nobody else."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from portal import announcing, outbox
from portal.models import (
    Announcement,
    AnnouncementReading,
    ApiToken,
    Membership,
    Organisation,
    OutboxMessage,
    Service,
    User,
)
from portal.tasks import publish_announcements
from portal.verbs import Refused
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY

DAY = timedelta(days=1)


@pytest.fixture
def at(settings):
    """Moves the clock to minutes after T0."""
    settings.SUPPORT_COUNTRY = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with time_machine.travel(T0, tick=False) as clock:
        yield lambda minutes: clock.move_to(T0 + timedelta(minutes=minutes))


@pytest.fixture
def world(at, a1, a2, a3, b1, g1, m1, acme, nordwind):
    """Acme's three people, Nordwind's one; only Acme uses the third service."""
    third = Service.objects.create(name="Third", slug="third")
    acme.subscriptions.create(service=third)
    return third


def draft(by, audience="all", title="New region", **given):
    return announcing.write(
        by=by,
        now=timezone.now(),
        **({"title": title, "text": "We **open** one.", "audience": audience} | given),
    )


def publish(made, by):
    return announcing.publish(made, by=by, now=timezone.now())


def send():
    return outbox.sweep(timezone.now(), channel="email")


def text_of(answer):
    return " ".join(answer.content.decode().split())


# --- who gets it ---


def test_whom_it_is_addressed_to(world, g1, m1, acme, nordwind, a2, mailoutbox):
    User.objects.filter(pk=a2.pk).update(hears_announcements=False)
    gone = factories.organisation("Gone")
    factories.person("gone@gone.example", "Go", gone, "member")
    Organisation.objects.filter(pk=gone.pk).update(is_active=False)
    Organisation.objects.create(name="Vendor", slug="vendor", is_vendor=True)
    for given, organisations, mails, people in [
        ({"audience": "all"}, ["Acme", "Nordwind"], 3, 4),
        ({"audience": "services", "services": [world]}, ["Acme"], 2, 3),
        ({"audience": "organisations", "organisations": [nordwind]}, ["Nordwind"], 1, 1),
        ({"audience": "organisations", "organisations": [gone]}, [], 0, 0),
    ]:
        made = draft(g1, **given)
        found = announcing.reach(made)
        assert [str(each) for each in found.organisations] == organisations
        assert (found.by_mail, found.in_portal) == (mails, people)
        mailoutbox.clear()
        assert publish(made, m1) == mails
        send()
        assert len(mailoutbox) == mails


def test_a_person_of_two_addressed_organisations_gets_one_mail(world, g1, m1, a1, nordwind, mailoutbox):
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    publish(draft(g1), m1)
    send()
    assert sorted(mail.to[0] for mail in mailoutbox).count(a1.email) == 1


def test_the_mail(world, g1, m1, a1, mailoutbox):
    made = draft(g1, "organisations", organisations=[a1.memberships.get().organisation])
    publish(made, m1)
    send()
    [mail] = [mail for mail in mailoutbox if mail.to == [a1.email]]
    assert mail.subject == "New region"
    assert "Auto-Submitted" not in mail.extra_headers  # a person wrote it
    assert "We open one." in mail.body
    assert "<strong>open</strong>" in mail.alternatives[0][0]
    assert f"/announcements/{made.pk}/" in mail.body
    assert "/profile/" in mail.body
    for word in ("Acme", "Nordwind", CANARY):
        assert word not in mail.body + mail.alternatives[0][0]


def test_text_is_rendered_inert_everywhere(world, client, g1, m1, a1, mailoutbox):
    evil = "<img src=x onerror=alert(1)> [x](javascript:alert(1))"
    made = draft(g1, title="<script>alert(1)</script>\r\nBcc: x@y.example", text=evil)
    publish(made, m1)
    send()
    client.force_login(a1)
    pages = [
        client.get(address).content.decode() for address in ("/", "/announcements/", made.get_absolute_url())
    ]
    for shown in [*pages, mailoutbox[0].alternatives[0][0]]:
        assert "<img" not in shown
        assert "<script>alert" not in shown
        assert 'href="javascript' not in shown
    assert "\n" not in mailoutbox[0].subject
    assert mailoutbox[0].bcc == []


# --- what still holds when the mail goes out ---


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("withdrawn", "the announcement was withdrawn"),
        ("left", "the person is no member of an addressed organisation any more"),
        ("inactive organisation", "the person is no member of an addressed organisation any more"),
        ("unwanted", "the person does not want announcements any more"),
        ("over", "the announcement is over"),
    ],
)
def test_a_mail_that_is_not_due_any_more_is_dropped(
    world, g1, m1, b1, nordwind, at, mailoutbox, what, reason
):
    made = draft(g1, "organisations", organisations=[nordwind])
    publish(made, m1)
    if what == "withdrawn":
        announcing.withdraw(made, by=m1, now=T0)
    if what == "left":
        b1.memberships.all().delete()
    if what == "inactive organisation":
        Organisation.objects.filter(pk=nordwind.pk).update(is_active=False)
    if what == "unwanted":
        User.objects.filter(pk=b1.pk).update(hears_announcements=False)
    if what == "over":
        announcing.expire(made, by=m1, now=T0)
    send()
    message = OutboxMessage.objects.get(kind="announcement")
    assert (mailoutbox, message.state, message.state_reason) == ([], "dropped", reason)


# --- rules ---


def test_agents_write_and_duty_managers_let_out(world, g1, g2, m1, a1):
    made = draft(g1)
    announcing.edit(made, by=g2, now=T0, title="Newer", text="Words", audience="all")
    assert (made.title, made.revision) == ("Newer", 1)
    for verb, more in [
        (announcing.publish, {}),
        (announcing.schedule, {"publish_at": T0 + DAY}),
        (announcing.pin, {}),
    ]:
        for person in (g1, a1):
            with pytest.raises(Refused) as refused:
                verb(made, by=person, now=T0, **more)
            assert refused.value.kind == "permission"
    with pytest.raises(Refused):
        announcing.write(by=a1, now=T0, title="x", text="y", audience="all")
    with pytest.raises(Refused):
        announcing.edit(made, by=a1, now=T0, title="x", text="y", audience="all")
    with pytest.raises(Refused):
        announcing.withdraw(made, by=g2, now=T0)  # another's draft
    publish(made, m1)
    for verb in (announcing.withdraw, announcing.expire, announcing.unpin):
        with pytest.raises(Refused) as refused:
            verb(made, by=g1, now=T0)
        assert refused.value.kind == "permission"


def test_an_author_withdraws_a_draft_of_their_own(world, g1):
    made = draft(g1)
    announcing.withdraw(made, by=g1, now=T0)
    assert announcing.state_of(made, T0) == "withdrawn"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"text": "\0 "}, "text"),
        ({"audience": "friends"}, "audience"),
        ({"audience": "services"}, "services"),
        ({"audience": "organisations"}, "organisations"),
        ({"expires_at": T0}, "expires_at"),
    ],
)
def test_a_draft_that_makes_no_sense_is_refused(world, g1, given, field):
    with pytest.raises(Refused) as refused:
        draft(g1, **given)
    assert (refused.value.field, Announcement.objects.count()) == (field, 0)


def test_each_verb_has_its_states(world, g1, m1):
    def states():
        draft_ = draft(g1)
        scheduled = draft(g1)
        announcing.schedule(scheduled, publish_at=T0 + DAY, by=m1, now=T0)
        published = draft(g1)
        publish(published, m1)
        over = draft(g1)
        publish(over, m1)
        announcing.expire(over, by=m1, now=T0)
        withdrawn = draft(g1)
        announcing.withdraw(withdrawn, by=m1, now=T0)
        return dict(
            zip(
                ("draft", "scheduled", "published", "expired", "withdrawn"),
                (draft_, scheduled, published, over, withdrawn),
                strict=True,
            )
        )

    given = {"title": "x", "text": "y", "audience": "all"}
    verbs = {
        "edit": lambda a: announcing.edit(a, by=m1, now=T0, **given),
        "schedule": lambda a: announcing.schedule(a, publish_at=T0 + DAY, by=m1, now=T0),
        "unschedule": lambda a: announcing.unschedule(a, by=m1, now=T0),
        "publish": lambda a: publish(a, m1),
        "pin": lambda a: announcing.pin(a, by=m1, now=T0),
        "expire": lambda a: announcing.expire(a, by=m1, now=T0),
        "withdraw": lambda a: announcing.withdraw(a, by=m1, now=T0),
    }
    allowed = {}
    for name, verb in verbs.items():
        for state, made in states().items():
            assert announcing.state_of(made, T0) == state
            if state in announcing.STATES[name]:
                verb(made)
                allowed.setdefault(name, []).append(state)
                continue
            with pytest.raises(Refused) as refused:
                verb(made)
            assert (refused.value.kind, bool(refused.value.reason)) == ("state", True)
    assert allowed == {
        "edit": ["draft"],
        "schedule": ["draft", "scheduled"],
        "unschedule": ["scheduled"],
        "publish": ["draft", "scheduled"],
        "pin": ["draft", "scheduled", "published"],
        "expire": ["published"],
        "withdraw": ["draft", "scheduled", "published", "expired"],
    }


def test_a_stale_edit_is_refused(world, g1, g2):
    made = draft(g1)
    given = {"text": "Words", "audience": "all"}
    announcing.edit(made, by=g1, now=T0, revision=0, title="First", **given)
    with pytest.raises(Refused) as refused:
        announcing.edit(made, by=g2, now=T0, revision=0, title="Second", **given)
    assert refused.value.kind == "stale"
    assert Announcement.objects.get().title == "First"


def test_an_audience_keeps_only_what_it_asks_for(world, g1, nordwind):
    made = draft(g1, "services", services=[world], organisations=[nordwind])
    assert (made.services.count(), made.organisations.count()) == (1, 0)
    announcing.edit(made, by=g1, now=T0, title="x", text="y", audience="all", services=[world])
    assert made.services.count() == 0


# --- the clockwork ---


def test_what_is_scheduled_goes_out_once(world, g1, m1, at, mailoutbox):
    made = draft(g1)
    announcing.schedule(made, publish_at=T0 + timedelta(minutes=30), by=m1, now=T0)
    at(29)
    assert [publish_announcements() for _ in range(2)] == [0, 0]
    at(95)  # late
    assert [publish_announcements() for _ in range(3)] == [1, 0, 0]
    send(), send()
    made.refresh_from_db()
    assert (made.published_at, len(mailoutbox)) == (T0 + timedelta(minutes=95), 4)


def test_whoever_has_joined_before_it_goes_out_gets_it(world, g1, m1, at, acme, b1):
    made = draft(g1)
    announcing.schedule(made, publish_at=T0 + DAY, by=m1, now=T0)
    late = factories.person("late@acme.example", "Late", acme, "viewer")
    b1.memberships.all().delete()
    at(24 * 60)
    publish_announcements()
    hearers = set(OutboxMessage.objects.values_list("recipient__email", flat=True))
    assert (late.email in hearers, b1.email in hearers) == (True, False)


def test_a_schedule_must_lie_ahead(world, g1, m1):
    made = draft(g1, expires_at=T0 + DAY)
    for at_, words in [(T0, "is over"), (T0 + DAY, "before it is published")]:
        with pytest.raises(Refused, match=words) as refused:
            announcing.schedule(made, publish_at=at_, by=m1, now=T0)
        assert refused.value.field == "publish_at"


def test_withdrawn_or_unscheduled_ones_are_never_published(world, g1, m1, at):
    first, second = draft(g1), draft(g1)
    for made in (first, second):
        announcing.schedule(made, publish_at=T0 + DAY, by=m1, now=T0)
    announcing.withdraw(first, by=m1, now=T0)
    announcing.unschedule(second, by=m1, now=T0)
    at(3 * 24 * 60)
    assert publish_announcements() == 0
    assert OutboxMessage.objects.count() == 0


def test_what_was_over_before_it_could_be_published_is_withdrawn(world, g1, m1, at, caplog):
    made = draft(g1, expires_at=T0 + DAY)
    announcing.schedule(made, publish_at=T0 + timedelta(hours=1), by=m1, now=T0)
    at(25 * 60)
    assert [publish_announcements(), publish_announcements()] == [0, 0]
    made.refresh_from_db()
    assert (made.published_at, made.withdrawn_at is None) == (None, False)
    assert caplog.text.count("over before it could be published") == 1


def test_the_sweep_by_hand_publishes(world, g1, m1, at, mailoutbox, capsys):
    announcing.schedule(draft(g1), publish_at=T0 + timedelta(minutes=1), by=m1, now=T0)
    at(2)
    call_command("sweep")
    assert "announcements: 1" in capsys.readouterr().out
    assert len(mailoutbox) == 4


# --- in the portal ---


def test_reading_is_noted_by_visiting(world, client, g1, m1, a1, a2):
    made = draft(g1)
    publish(made, m1)
    client.force_login(a1)
    assert "1 announcement that you have not read" in text_of(client.get("/"))
    client.head(made.get_absolute_url())
    assert AnnouncementReading.objects.count() == 0
    for _ in range(2):
        assert "<strong>open</strong>" in text_of(client.get(made.get_absolute_url()))
    assert AnnouncementReading.objects.get().person == a1
    assert "have not read" not in text_of(client.get("/"))
    client.force_login(a2)
    assert "1 announcement that you have not read" in text_of(client.get("/"))
    client.force_login(g1)
    assert client.get(made.get_absolute_url()).status_code == 200
    assert AnnouncementReading.objects.count() == 1


def test_pinned_ones_stand_on_home_until_they_are_over(world, client, g1, m1, a1, at):
    made = draft(g1, title="Pinned one", expires_at=T0 + timedelta(hours=1))
    publish(made, m1)
    client.force_login(a1)
    assert "Pinned one" not in text_of(client.get("/"))
    announcing.pin(made, by=m1, now=T0)
    assert "Pinned one" in text_of(client.get("/"))
    at(61)
    assert "Pinned one" not in text_of(client.get("/"))
    shown = text_of(client.get("/announcements/"))
    assert "over since" in shown
    assert "it stands here for the record" in text_of(client.get(made.get_absolute_url()))


def test_nothing_of_three_organisations_crosses(world, client, g1, m1, a1, b1, acme, nordwind):
    harbor = factories.organisation("Harbor")
    c1 = factories.person("c1@harbor.example", "Cy", harbor, "viewer")
    people = {"Acme": (a1, acme), "Nordwind": (b1, nordwind), "Harbor": (c1, harbor)}
    made = {}
    for name, (_person, of) in people.items():
        made[name] = draft(
            g1, "organisations", title=f"Only-for-{name}", text=f"Words-to-{name}", organisations=[of]
        )
        publish(made[name], m1)
        announcing.pin(made[name], by=m1, now=T0)
    both = draft(g1, "organisations", title="For two", organisations=[acme, harbor])
    publish(both, m1)
    for name, (person, _of) in people.items():
        client.force_login(person)
        api = APIClient()
        api.force_authenticate(person)
        pages = ["/", "/announcements/", made[name].get_absolute_url()]
        if name != "Nordwind":
            pages.append(both.get_absolute_url())
        shown = "".join(text_of(client.get(page)) for page in pages)
        shown += api.get("/api/v1/announcements/").content.decode()
        shown += api.get(f"/api/v1/announcements/{made[name].pk}/").content.decode()
        assert f"Words-to-{name}" in shown
        assert ("For two" in shown) == (name != "Nordwind")
        for other in people:
            if other != name:
                assert other not in shown, (name, other)
                assert client.get(made[other].get_absolute_url()).status_code == 404
                assert api.get(f"/api/v1/announcements/{made[other].pk}/").status_code == 404


def test_what_is_not_out_or_withdrawn_is_found_by_no_customer(world, client, g1, m1, a1):
    plain, scheduled, withdrawn = draft(g1, title="Plain"), draft(g1, title="Later"), draft(g1, title="Gone")
    announcing.schedule(scheduled, publish_at=T0 + DAY, by=m1, now=T0)
    publish(withdrawn, m1)
    announcing.withdraw(withdrawn, by=m1, now=T0)
    api = APIClient()
    api.force_authenticate(a1)
    assert api.get("/api/v1/announcements/").json()["results"] == []
    for person in (g1, a1):  # staff have the desk for what is not out
        client.force_login(person)
        for made in (plain, scheduled, withdrawn):
            assert client.get(made.get_absolute_url()).status_code == 404
            assert made.title not in text_of(client.get("/announcements/"))
    for made in (plain, scheduled, withdrawn):
        assert api.get(f"/api/v1/announcements/{made.pk}/").status_code == 404
    assert "Nothing is announced" in text_of(client.get("/announcements/"))


def test_whoever_has_no_organisation_reads_nothing(world, client, g1, m1, a1):
    made = draft(g1)
    publish(made, m1)
    a1.memberships.all().delete()
    client.force_login(a1)
    assert client.get(made.get_absolute_url()).status_code == 404
    assert "New region" not in text_of(client.get("/announcements/"))


def test_the_list_s_queries_do_not_grow_and_it_has_pages(world, client, g1, m1, a1):
    client.force_login(a1)
    counts = []
    for size in (1, 3, 30):
        for number in range(size):
            made = draft(g1, title=f"T{size}-{number}")
            publish(made, m1)
            announcing.pin(made, by=m1, now=T0)
        for address in ("/", "/announcements/"):
            client.get(address)
            with CaptureQueriesContext(connection) as captured:
                client.get(address)
            counts.append(len(captured))
    assert counts[0::2] == [counts[0]] * 3
    assert counts[1::2] == [counts[1]] * 3
    older = client.get("/announcements/").context["page"].after
    assert "T1-0" in text_of(client.get(f"/announcements/{older}"))


def test_the_profile_turns_the_mail_off(world, client, a1):
    client.force_login(a1)
    data = {"name": "Ada", "language": "", "time_zone": "", "daily_summary_hour": "8"}
    assert client.post("/profile/", data).status_code == 302
    assert User.objects.get(pk=a1.pk).hears_announcements is False


# --- the API ---


def test_customers_read_by_the_api_and_nothing_of_the_audience(world, g1, m1, a1, nordwind, acme):
    made = draft(g1, "organisations", organisations=[acme, nordwind])
    publish(made, m1)
    api = APIClient()
    api.force_authenticate(a1)
    [row] = api.get("/api/v1/announcements/").json()["results"]
    assert row == {
        "id": made.pk,
        "title": "New region",
        "text": "We **open** one.",
        "html": "<p>We <strong>open</strong> one.</p>\n",
        "is_pinned": False,
        "published_at": "2026-03-03T10:00:00Z",
        "expires_at": None,
        "is_read": False,
    }
    for path in ("", f"{made.pk}/publication/", f"{made.pk}/withdrawal/"):
        given = {"title": "x", "text": "y", "audience": "all"}
        assert api.post(f"/api/v1/announcements/{path}", given).status_code == 403
    assert Announcement.objects.count() == 1


def test_staff_write_publish_and_withdraw_by_the_api(world, g1, m1, acme):
    agent, duty = APIClient(), APIClient()
    agent.force_authenticate(g1), duty.force_authenticate(m1)
    given = {"title": "New", "text": "Words", "audience": "services", "services": ["third"]}
    made = agent.post("/api/v1/announcements/", given)
    assert (made.status_code, made.json()["state"], made.json()["services"]) == (201, "draft", ["third"])
    to = f"/api/v1/announcements/{made.json()['id']}/"
    assert agent.post(f"{to}publication/").status_code == 403
    out = duty.post(f"{to}publication/")
    assert (out.status_code, out.json()["state"]) == (201, "published")
    assert duty.post(f"{to}publication/").status_code == 409
    assert duty.post(f"{to}withdrawal/").json()["state"] == "withdrawn"
    assert [row["state"] for row in agent.get("/api/v1/announcements/").json()["results"]] == ["withdrawn"]
    for wrong, field in [
        ({"audience": "services"}, "services"),
        ({"services": ["no-such"]}, "services"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"title": 7}, "title"),
        ({"audience": "friends"}, "audience"),
    ]:
        sent = {"title": "New", "text": "Words", "audience": "all"} | wrong
        answer = agent.post("/api/v1/announcements/", sent)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_token_for_one_organisation_reads_only_what_is_addressed_to_it(world, g1, m1, a1, acme, nordwind):
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    for of in (acme, nordwind):
        publish(draft(g1, "organisations", title=str(of), organisations=[of]), m1)
    token = ApiToken.objects.create(user=a1, organisation=acme, scope="read")[1]
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert [row["title"] for row in api.get("/api/v1/announcements/").json()["results"]] == ["Acme"]
    Membership.objects.filter(user=a1, organisation=acme).delete()
    assert api.get("/api/v1/announcements/").status_code == 401


def test_the_api_list_makes_the_same_queries_at_1_3_and_30_rows(world, g1, m1, acme):
    counts = []
    api = APIClient()
    api.force_authenticate(g1)
    for size in (1, 3, 30):
        for _ in range(size):
            draft(g1, "organisations", organisations=[acme])
        with CaptureQueriesContext(connection) as captured:
            api.get("/api/v1/announcements/")
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2]


# --- the desk ---


def address(page, *args):
    return reverse(f"admin:portal_announcement_{page}", args=args)


def test_the_desk_writes_a_draft_and_says_who_will_get_it(world, client, g1, m1, nordwind, b1, mailoutbox):
    client.force_login(g1)
    given = {"title": "At the desk", "text": "Words", "audience": "organisations"}
    wrong = client.post(address("add"), given)
    assert "Choose at least one organisation." in text_of(wrong)
    assert client.post(address("add"), given | {"organisations": [nordwind.pk]}).status_code == 302
    made = Announcement.objects.get()
    assert (made.author, list(made.organisations.all())) == (g1, [nordwind])
    shown = text_of(client.get(address("change", made.pk)))
    assert "Goes to 1 by mail; 1 can read it in the portal." in shown
    assert "A duty manager does this." in shown
    assert client.post(address("do", made.pk, "publish")).status_code == 403
    client.force_login(m1)
    preview = text_of(client.get(address("do", made.pk, "publish")))
    assert "Send to 1 person" in preview
    assert "Nordwind" in preview
    assert OutboxMessage.objects.count() == 0
    assert client.post(address("do", made.pk, "publish")).status_code == 302
    send()
    assert [mail.to for mail in mailoutbox] == [[b1.email]]
    again = client.post(address("do", made.pk, "publish"))
    assert (again.status_code, "It was published already." in text_of(again)) == (409, True)


def test_the_desk_s_button_says_how_many(world, client, g1, m1):
    made = draft(g1)
    client.force_login(m1)
    assert "Send to 4 people" in text_of(client.get(address("do", made.pk, "publish")))


def test_the_desk_schedules_in_the_reader_s_zone(world, client, g1, m1):
    made = draft(g1)
    client.force_login(m1)
    to = address("do", made.pk, "schedule")
    for wrong in ({}, {"publish_at": "soon"}, {"publish_at": "2026-03-03T12:00"}):
        assert client.post(to, wrong).status_code == 400
    assert client.post(to, {"publish_at": "2026-03-04T09:00"}).status_code == 302
    made.refresh_from_db()
    assert made.publish_at == T0.replace(day=4, hour=6)
    shown = text_of(client.get(address("change", made.pk)))
    assert "Take off the schedule" in shown


def test_the_desk_does_not_rewrite_what_is_out(world, client, g1, m1):
    made = draft(g1)
    publish(made, m1)
    client.force_login(m1)
    assert client.get(address("change", made.pk)).status_code == 200
    given = {"title": "Rewritten", "text": "Words", "audience": "all"}
    assert client.post(address("change", made.pk), given).status_code == 403
    made.refresh_from_db()
    assert made.title == "New region"


def test_the_desk_shows_a_stale_draft(world, client, g1):
    made = draft(g1)
    client.force_login(g1)
    given = {"title": "Second", "text": "Words", "audience": "all", "seen": "0"}
    announcing.edit(made, by=g1, now=T0, title="First", text="y", audience="all")
    assert "Somebody changed it" in text_of(client.post(address("change", made.pk), given))
    assert Announcement.objects.get().title == "First"
    assert client.post(address("change", made.pk), given | {"seen": "1"}).status_code == 302
    assert Announcement.objects.get().title == "Second"


def test_a_verb_or_row_that_is_none_is_not_found(world, client, g1, m1, a1):
    made = draft(g1)
    client.force_login(m1)
    assert client.get(address("do", made.pk, "explode")).status_code == 404
    assert client.get(address("do", 999, "publish")).status_code == 404
    client.force_login(a1)
    assert client.post(address("do", made.pk, "publish")).status_code == 302
    assert announcing.state_of(Announcement.objects.get(), T0) == "draft"


@pytest.mark.parametrize(
    ("verb", "agent", "duty"),
    [
        ("publish", 403, 302),
        ("schedule", 403, 302),
        ("unschedule", 403, 409),
        ("pin", 403, 302),
        ("unpin", 403, 409),
        ("expire", 403, 409),
        ("withdraw", 403, 302),
    ],
)
def test_each_role_has_its_verbs(world, client, g1, g2, m1, verb, agent, duty):
    made = draft(g2)
    data = {"publish_at": "2026-03-04T09:00"}
    client.force_login(g1)
    assert client.post(address("do", made.pk, verb), data).status_code == agent
    client.force_login(m1)
    assert client.get(address("do", made.pk, verb)).status_code == 200
    assert Announcement.objects.get().revision == 0
    assert client.post(address("do", made.pk, verb), data).status_code == duty
