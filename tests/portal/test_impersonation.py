"""Staff look at the portal as a customer: read only, for half an hour, with a reason, in the audit."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.urls import reverse

from incidents import actions
from incidents.models import BridgePresence, Incident, SupportPlan
from portal import announcing, impersonation
from portal.models import (
    AnnouncementReading,
    AuditEntry,
    Impersonation,
    Membership,
    Organisation,
    StaffLimit,
    User,
)
from portal.verbs import Refused
from tests import factories
from tests.conftest import T0
from tests.factories import PASSWORD
from tests.incidents.test_stranger import Writes

REASON = "INC-1001: they cannot find their report"


@pytest.fixture(autouse=True)
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


def sign_in(client, user):
    """As a person does, who has just given the password once more."""
    client.force_login(user)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})


def start_url(person):
    return reverse("admin:portal_user_look_as", args=[person.pk])


@pytest.fixture
def duty(client, m1):
    sign_in(client, m1)
    return client


@pytest.fixture
def looking(duty, a1):
    """A duty manager who looks as a1."""
    answer = duty.post(start_url(a1), {"reason": REASON})
    assert (answer.status_code, answer.url) == (302, "/")
    return duty


def entries(kind):
    return list(AuditEntry.objects.filter(kind=kind).order_by("pk"))


# --- who, whom, and how it begins ---


def test_a_look_begins_with_a_reason_and_shows_the_customer_s_portal(looking, a1, m1, acme):
    made = Impersonation.objects.get()
    assert (made.staff, made.person, made.reason) == (m1, a1, REASON)
    assert made.expires_at == T0 + timedelta(minutes=30)
    page = looking.get("/")
    assert page.status_code == 200
    text = page.content.decode()
    for words in (f"{m1.name} looks at the portal as {a1.name}", REASON, "/look-as/stop/", f"As {a1.name} ·"):
        assert words in text, words
    assert page.context["request"].user == a1
    assert looking.session["_auth_user_id"] == str(m1.pk)
    assert page.headers["Cache-Control"] == "private, no-store"


def test_a_look_needs_a_reason(duty, a1):
    for reason in ("", "   ", "x" * 201):
        assert duty.post(start_url(a1), {"reason": reason}).status_code == 400
    assert not Impersonation.objects.exists()


def test_only_a_duty_manager_and_above_look_as_somebody(client, a1, g1, m1, h1, root):
    for user, status in ((g1, 403), (m1, 200), (h1, 200), (root, 200)):
        client.logout()
        sign_in(client, user)
        assert client.get(start_url(a1)).status_code == status, user
        offered = b"/look-as/" in client.get(reverse("admin:portal_user_change", args=[a1.pk])).content
        assert offered == (status == 200)
    with pytest.raises(Refused):
        impersonation.start(g1, a1, reason="x", now=T0, request=None)
    client.logout()
    sign_in(client, a1)
    assert client.get(start_url(a1)).status_code in (302, 403)


def test_nobody_looks_as_staff_or_as_somebody_who_cannot_sign_in(duty, m1, g1, a1, a2, a3, root):
    User.objects.filter(pk=a2.pk).update(is_active=False)
    User.objects.filter(pk=a3.pk).update(erased_at=T0)
    alone = User.objects.create_user("alone@example.com", PASSWORD, name="Al One")
    former = User.objects.create_user("former@example.com", PASSWORD, name="For Mer", is_superuser=True)
    for person in (g1, root, m1, a2, a3, alone, former):
        answer = duty.post(start_url(person), {"reason": REASON})
        assert answer.status_code == 400, person
    assert not Impersonation.objects.exists()
    assert duty.get(start_url(User(pk=99999))).status_code == 404


def test_limited_staff_look_only_as_people_whom_they_look_after(client, acme, nordwind, a1, b1):
    user = factories.agent("lim@briqmind.example", "Lim", "duty_manager", is_limited=True)
    StaffLimit.objects.create(user=user, organisation=acme)
    sign_in(client, user)
    assert client.post(start_url(b1), {"reason": REASON}).status_code == 404
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")  # and would show Nordwind, too
    assert client.post(start_url(a1), {"reason": REASON}).status_code == 400
    Membership.objects.filter(user=a1, organisation=nordwind).delete()
    assert client.post(start_url(a1), {"reason": REASON}).status_code == 302


def test_a_look_asks_for_the_password_again(duty, a1, clock):
    clock.shift(timedelta(hours=1))
    for answer in (duty.get(start_url(a1)), duty.post(start_url(a1), {"reason": REASON})):
        assert answer.status_code == 302
        assert "reauthenticate" in answer.url
    assert not Impersonation.objects.exists()


# --- it only reads ---


def test_nothing_is_changed_while_somebody_looks(looking, a1):
    made = factories.incident(a1, T0)
    for path in (
        f"/incidents/{made.reference}/replies/",
        f"/incidents/{made.reference}/withdrawal/",
        "/incidents/new/",
        "/profile/",
        "/accounts/logout/",
        f"/api/v1/incidents/{made.reference}/replies/",
        "/admin/portal/user/add/",
    ):
        for method in (looking.post, looking.put, looking.patch, looking.delete):
            with Writes.noted() as writes:
                answer = method(path, {"text": "x"})
            assert answer.status_code == 403, path
            assert b"You only look" in answer.content
            assert [sql for sql in writes if "django_session" not in sql] == [], path


CLOSED = (
    "/admin/", "/admin/portal/user/", "/profile/", "/accounts/password/change/", "/accounts/2fa/", "/channels/",
    "/channels/new/", "/maintenance/calendar/", "/api/v1/incidents/", "/api/v1/", "/tokens/", "/people/",
    "/identity/", "/audit/", "/accounts/sessions/", "/incidents/../admin/",
)  # fmt: skip


def test_a_customer_s_own_pages_and_the_desk_stay_closed(looking, a1):
    for path in CLOSED:
        answer = looking.get(path)
        assert answer.status_code in (403, 404), path
        assert b"whsec_" not in answer.content
    assert looking.get(start_url(a1)).status_code == 403  # nor is a look begun within a look


def test_the_database_takes_no_write_while_a_page_is_shown(looking, a1, monkeypatch):
    def writing(request):
        with transaction.atomic():
            User.objects.filter(pk=a1.pk).update(name="Forged")

    for sql in (
        'UPDATE "portal_user" SET "name" = 1',
        "insert into portal_user values (1)",
        "  DELETE FROM x",
        'INSERT INTO "portal_auditentryx" VALUES (1)',
        "/* SELECT */ DELETE FROM x",
        "DROP TABLE x",
        "WITH x AS (SELECT 1) DELETE FROM y",
        "TRUNCATE x",
    ):
        with pytest.raises(impersonation.ReadOnly):
            impersonation.only_reading(lambda *args: None, sql, (), False, {})
    with connection.execute_wrapper(impersonation.only_reading), pytest.raises(impersonation.ReadOnly):
        writing(None)
    monkeypatch.setattr("portal.home.published_for", writing)
    assert looking.get("/").status_code == 403
    a1.refresh_from_db()
    assert a1.name == "Ada One"


def test_a_page_that_notes_its_reader_notes_nothing(looking, a1, g1, m1):
    news = announcing.write(by=g1, now=T0, title="News", text="For all.", audience="all")
    announcing.publish(news, by=m1, now=T0)
    assert looking.get(f"/announcements/{news.pk}/").status_code == 200
    assert not AnnouncementReading.objects.exists()
    made = factories.incident(a1, T0)
    SupportPlan.objects.update(has_bridge=True)
    bridge = actions.open_bridge(made, by=a1, now=T0 - timedelta(minutes=9), channel="bridge")
    BridgePresence.objects.update(seen_at=T0 - timedelta(minutes=9))
    assert looking.get(f"/incidents/{made.reference}/bridge/live/").status_code == 200
    assert bridge.presences.get().seen_at == T0 - timedelta(minutes=9)


def test_every_page_of_a_customer_can_be_looked_at(looking, a1, g1, m1):
    made = factories.incident(a1, T0)
    for path in (
        "/", "/incidents/", "/incidents/new/", f"/incidents/{made.reference}/", f"/incidents/{made.reference}/timeline/",
        f"/incidents/{made.reference}/now/", "/status/", "/status/inference-api/", "/maintenance/",
        "/maintenance/freezes/", "/announcements/", "/knowledge/", "/sla/", "/reports/", "/reports/2026-03/",
    ):  # fmt: skip
        answer = looking.get(path)
        assert answer.status_code == 200, path
        if "html" in answer["Content-Type"] and b"<title>" in answer.content:
            assert b"looks at the portal as" in answer.content, path
            assert b"<title>As Ada One" in answer.content, path


def test_staff_see_as_a_customer_only_what_that_customer_sees(looking, a1, b1):
    theirs = factories.incident(b1, T0)
    assert looking.get(f"/incidents/{theirs.reference}/").status_code == 404
    own = factories.incident(a1, T0)
    actions.add_note(
        own, by=User.objects.get(email="m1@briqmind.example"), now=T0, channel="admin", text="Inside"
    )
    assert b"Inside" not in looking.get(f"/incidents/{own.reference}/").content


# --- how it ends ---


def test_a_look_is_stopped(looking, a1, m1):
    assert looking.get("/look-as/stop/").status_code == 405
    answer = looking.post("/look-as/stop/")
    assert answer.url == reverse("admin:portal_user_change", args=[a1.pk])
    assert Impersonation.objects.get().ended_at == T0
    assert looking.get("/admin/").context["request"].user == m1
    assert [entry.facts["because"] for entry in entries("impersonation_ended")] == ["stopped"]
    assert looking.post("/look-as/stop/").status_code == 403
    assert len(entries("impersonation_ended")) == 1


def test_a_look_is_over_after_half_an_hour(looking, clock, m1):
    clock.shift(timedelta(minutes=29, seconds=59))
    assert looking.get("/").status_code == 200
    clock.shift(timedelta(seconds=1))
    answer = looking.get("/incidents/")
    assert answer.status_code == 403
    assert b"30 minutes are over" in answer.content
    assert looking.get("/admin/").context["request"].user == m1
    assert [entry.facts["because"] for entry in entries("impersonation_ended")] == ["expired"]


@pytest.mark.parametrize("change", ["role", "person", "membership", "limit", "raised"])
def test_a_look_is_over_when_it_is_not_allowed_any_more(looking, change, a1, m1):
    if change == "role":
        User.objects.filter(pk=m1.pk).update(staff_role="agent")
    elif change == "person":
        User.objects.filter(pk=a1.pk).update(is_active=False)
    elif change == "membership":
        Membership.objects.filter(user=a1).delete()
    elif change == "limit":
        User.objects.filter(pk=m1.pk).update(is_limited=True)
    else:
        User.objects.filter(pk=a1.pk).update(is_staff=True, staff_role="administrator")
    answer = looking.get("/incidents/")
    assert "looks_as" not in looking.session
    if change in ("role", "limit"):  # their own session ended with the right it was begun for
        assert (answer.status_code, answer.url) == (302, "/accounts/login/?next=/incidents/")
        return
    assert answer.status_code == 403
    assert Impersonation.objects.get().ended_at == T0


def test_another_person_s_session_never_takes_up_a_look(client, looking, g1, a1):
    """The key alone opens nothing: the look is of the member of the staff who began it."""
    made = Impersonation.objects.get()
    client.logout()
    sign_in(client, g1)
    session = client.session
    session["looks_as"] = made.pk
    session.save()
    assert client.get("/").status_code == 403
    assert client.get("/admin/").context["request"].user == g1
    session = client.session
    session["looks_as"] = 99999
    session.save()
    assert client.get("/").status_code == 403


# --- the audit ---


def test_the_audit_holds_both_people_and_every_page(looking, a1, m1, acme):
    made = factories.incident(a1, T0)
    for path in ("/incidents/", f"/incidents/{made.reference}/", "/incidents/", "/profile/"):
        looking.get(path)
    looking.post("/look-as/stop/")
    [begun], pages, [ended] = (
        entries("impersonation_started"),
        entries("seen_as"),
        entries("impersonation_ended"),
    )
    assert [page.facts["path"] for page in pages] == ["/incidents/", f"/incidents/{made.reference}/"]
    for entry in (begun, *pages, ended):
        assert (entry.by, entry.on_behalf_of, entry.organisation) == (m1, a1, acme)
        assert entry.facts["impersonation"] == Impersonation.objects.get().pk
        assert REASON not in str(entry.facts)


def test_each_organisation_of_the_person_reads_of_it(duty, a1, acme, nordwind, a2):
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    duty.post(start_url(a1), {"reason": REASON})
    found = {entry.organisation for entry in entries("impersonation_started")}
    assert found == {acme, nordwind}
    assert AuditEntry.objects.visible_to(a2).filter(kind="impersonation_started").count() == 1
    assert Organisation.objects.count() >= 2
    assert not Incident.objects.exists()
