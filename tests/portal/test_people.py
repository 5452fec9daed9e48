"""People of an organisation: invitations, roles, teams, and what is left of somebody who leaves."""

from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as live
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from incidents import actions
from portal import invitation_verbs, outbox
from portal import people_verbs as verbs
from portal.logs import HideTokens
from portal.models import (
    ApiToken,
    AuditEntry,
    ChatIdentity,
    Invitation,
    Membership,
    Organisation,
    OutboxMessage,
    StatusSubscription,
    Team,
    User,
)
from portal.verbs import Refused
from tests import factories
from tests.conftest import T0
from tests.factories import PASSWORD, incident

pytestmark = pytest.mark.django_db
NEW = "new@acme.example"
LINK = re.compile(r"/invitations/([\w-]{43})/")
GOOD = {"name": "Nora New", "password": "long-and-strange-7", "again": "long-and-strange-7"}


@pytest.fixture(autouse=True)
def at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def team(acme):
    return Team.objects.create(organisation=acme, name="Payments")


def invite(acme, by, email=NEW, **more):
    return invitation_verbs.invite(acme, email=email, by=by, now=timezone.now(), **more)


def token_sent():
    """Send what waits, and read the token out of the last mail."""
    outbox.sweep(timezone.now())
    return LINK.search(mail.outbox[-1].body)[1]


def place(user, acme):
    return Membership.objects.get(user=user, organisation=acme)


def kinds():
    """Of what was done; that rows of the world were made is recorded, too."""
    said = AuditEntry.objects.exclude(kind="settings_changed").exclude(kind__startswith="signed")
    return list(said.order_by("pk").values_list("kind", flat=True))


# --- inviting ---


def test_an_invitation_is_mailed_and_its_token_is_stored_nowhere(acme, a2):
    made = invite(acme, a2, "  New@ACME.example ")
    token = token_sent()
    assert (made.email, mail.outbox[-1].to) == (NEW, [NEW])
    assert (made.expires_at - T0).days == 7
    rows = [
        *Invitation.objects.values_list(),
        *OutboxMessage.objects.values_list(),
        *AuditEntry.objects.values_list(),
    ]
    assert token not in str(rows)
    assert token not in str(list(Invitation.history.values_list()) if hasattr(Invitation, "history") else "")
    sent = OutboxMessage.objects.get(kind="invitation")
    assert (sent.state, sent.address, sent.recipient) == ("sent", NEW, None)
    assert "…" in sent.text
    assert "…" in sent.html
    assert kinds() == ["invitation_sent"]


def test_the_token_is_made_of_a_secret_that_the_database_does_not_hold(acme, a2, settings):
    invite(acme, a2)
    first = OutboxMessage.objects.get().facts["nonce"]
    made = Invitation.objects.get()
    token = made.token(first)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", []
    assert (len(token), made.token(first)) == (43, "")
    settings.SECRET_KEY_FALLBACKS = [live.SECRET_KEY]
    assert made.token(first) == ""


def test_a_key_that_was_rotated_still_renders_what_waits(acme, a2, settings):
    invite(acme, a2)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [old]
    assert invitation_verbs.find_open(token_sent(), T0)


def test_logs_never_hold_the_token():
    token = "a" * 43
    for path in (f"/invitations/{token}/", f"/accounts/login/?next=%2Finvitations%2F{token}%2F"):
        record = logging.LogRecord("x", logging.INFO, "", 0, '"GET %s" 200', (path,), None)
        assert HideTokens().filter(record)
        assert token not in record.getMessage()
    record = logging.LogRecord(
        "x", logging.INFO, "", 0, "/api/v1/organisations/acme/invitations/17/", (), None
    )
    HideTokens().filter(record)
    assert "17" in record.getMessage()


@pytest.mark.parametrize("who", ["a1", "a3", "b1", "g1"])
def test_only_managers_and_the_head_of_support_invite(acme, a2, h1, who, request):
    with pytest.raises(Refused) as refused:
        invite(acme, request.getfixturevalue(who))
    assert refused.value.kind == "permission"
    assert not Invitation.objects.exists()
    assert invite(acme, h1)


def test_addresses_that_we_receive_mail_on_are_never_a_login(acme, a2, settings):
    settings.MAIL_DOMAIN, settings.SUPPORT_EMAIL = "desk.example", "help@Vendor.example"
    for address in ("x@desk.example", "x@VENDOR.example", "no address", "", "a@b@c.example"):
        with pytest.raises(Refused) as refused:
            invite(acme, a2, address)
        assert refused.value.field == "email"


def test_an_account_elsewhere_is_told_apart_nowhere_but_in_the_mail(client, acme, a2, b1):
    client.force_login(a2)
    answers = []
    for address in (NEW, b1.email):
        answer = client.post(
            "/people/invitations/new/", {"email": address, "role": "member", "visibility": "all"}
        )
        page = client.get(answer.url).content.decode()
        answers.append((answer.status_code, re.sub(r'value="\w{64}"|/\d+/', "", page.replace(address, "X"))))
    (first, page), (second, _again) = answers
    assert first == second == 302
    rows = OutboxMessage.objects.filter(kind="invitation").order_by("pk")
    assert all(row.recipient is None and sorted(row.facts) == ["invitation", "nonce"] for row in rows)
    outbox.sweep(T0)
    known, unknown = (next(m.body for m in mail.outbox if m.to == [to]) for to in (b1.email, NEW))
    assert "You have an account here already" in known
    assert "choose a name and a password" in unknown


def test_the_same_answer_by_the_api(acme, a2, b1):
    api = APIClient()
    api.force_authenticate(a2)
    shapes = []
    for address in (NEW, b1.email):
        answer = api.post("/api/v1/organisations/acme/invitations/", {"email": address})
        shapes.append(
            (answer.status_code, {k: v for k, v in answer.json().items() if k not in ("id", "email")})
        )
    assert shapes[0] == shapes[1]
    assert shapes[0][0] == 201


def test_a_colleague_and_somebody_invited_are_not_invited_again(acme, a1, a2):
    invite(acme, a2)
    for address in (a1.email.upper(), NEW):
        with pytest.raises(Refused) as refused:
            invite(acme, a2, address)
        assert refused.value.kind == "state"
    assert Invitation.objects.count() == 1


def test_an_expired_invitation_makes_way_for_a_new_one(acme, a2, at_t0):
    first = invite(acme, a2)
    at_t0.shift(timedelta(days=8))
    invite(acme, a2)
    first.refresh_from_db()
    assert first.withdrawn_at is not None
    assert Invitation.objects.open(timezone.now()).count() == 1


def test_the_database_keeps_one_open_invitation_each(acme, a2):
    made = invite(acme, a2)
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.create(organisation=acme, email=NEW, invited_by=a2, token_digest="x",
                                  created_at=T0, expires_at=made.expires_at)  # fmt: skip


def test_there_is_a_limit_of_open_invitations_and_of_mails_a_day(acme, a2, monkeypatch, at_t0):
    monkeypatch.setattr(invitation_verbs, "MOST_OPEN", 2)
    made = [invite(acme, a2, f"n{number}@acme.example") for number in range(2)]
    with pytest.raises(Refused):
        invite(acme, a2, "n3@acme.example")
    monkeypatch.setattr(invitation_verbs, "MOST_OPEN", 100)
    monkeypatch.setattr(invitation_verbs, "MOST_A_DAY", 3)
    invitation_verbs.withdraw(made[1], by=a2, now=T0)
    verbs_renewed = Invitation.objects.get(pk=made[0].pk)
    invitation_verbs.renew(verbs_renewed, by=a2, now=T0)
    for again in (
        lambda: invite(acme, a2, "n4@acme.example"),
        lambda: invitation_verbs.renew(verbs_renewed, by=a2, now=T0),
    ):
        with pytest.raises(Refused):
            again()
    at_t0.shift(timedelta(days=1, seconds=1))
    assert invite(acme, a2, "n4@acme.example")


def test_a_place_that_cannot_hold_is_refused(acme, a2, nordwind, team):
    other = Team.objects.create(organisation=nordwind, name="Theirs")
    bad = [
        {"role": "manager", "visibility": "own"},
        {"visibility": "team"},
        {"visibility": "team", "team": other},
        {"role": "king"},
        {"visibility": "some"},
    ]
    for given in bad:
        with pytest.raises(Refused):
            invite(acme, a2, **given)
    assert invite(acme, a2, visibility="team", team=team).team == team


@pytest.mark.parametrize(
    "end", ["withdrawn", "expired", "renewed", "inactive organisation", "inactive person"]
)
def test_a_mail_that_waits_is_not_sent_once_its_invitation_is_over(acme, a2, b1, end, at_t0):
    made = invite(acme, a2, b1.email)
    if end == "withdrawn":
        invitation_verbs.withdraw(made, by=a2, now=T0)
    elif end == "renewed":
        invitation_verbs.renew(made, by=a2, now=T0)
    elif end == "inactive organisation":
        Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    elif end == "inactive person":
        User.objects.filter(pk=b1.pk).update(is_active=False)
    else:
        at_t0.shift(timedelta(days=7))
    outbox.sweep(timezone.now())
    assert OutboxMessage.objects.order_by("pk").first().state == "dropped"
    assert len(mail.outbox) == (1 if end == "renewed" else 0)


# --- joining ---


def test_somebody_new_joins_with_name_and_password_and_is_signed_in(client, acme, a2, team):
    invite(acme, a2, role="viewer", visibility="team", team=team)
    address = f"/invitations/{token_sent()}/"
    page = client.get(address)
    assert (page.status_code, page["Referrer-Policy"]) == (200, "strict-origin")
    assert "no-store" in page["Cache-Control"]
    answer = client.post(address, GOOD)
    assert (answer.status_code, answer.url) == (302, "/")
    person = User.objects.get(email=NEW)
    made = place(person, acme)
    assert (person.name, made.role, made.visibility, made.team) == ("Nora New", "viewer", "team", team)
    assert client.get("/").context["user"] == person
    assert kinds() == ["invitation_sent", "invitation_accepted"]


@pytest.mark.parametrize(
    "bad",
    [
        {"password": "short", "again": "short"},
        {"password": "password123", "again": "password123"},
        {"again": "another-word-9"},
        {"name": ""},
        {"password": NEW, "again": NEW},
    ],
)
def test_a_weak_password_is_refused_and_nothing_is_used_up(client, acme, a2, bad):
    invite(acme, a2)
    address = f"/invitations/{token_sent()}/"
    assert client.post(address, GOOD | bad).status_code == 400
    assert not User.objects.filter(email=NEW).exists()
    assert client.post(address, GOOD).status_code == 302


def test_a_look_uses_nothing_up(client, acme, a2):
    invite(acme, a2)
    address = f"/invitations/{token_sent()}/"
    for method in (client.get, client.head):
        assert method(address).status_code == 200
    assert Invitation.objects.get().accepted_at is None


def test_who_has_an_account_signs_in_as_its_owner_first(client, acme, a2, b1):
    invite(acme, a2, b1.email)
    address = f"/invitations/{token_sent()}/"
    page = client.get(address).content.decode()
    assert "Sign in" in page
    assert b1.email not in page
    client.post(address, GOOD)
    assert not b1.memberships.filter(organisation=acme).exists()
    client.force_login(b1)
    assert client.get(address).status_code == 200
    assert not b1.memberships.filter(organisation=acme).exists()
    assert client.post(address).url == "/"
    assert place(b1, acme).role == "member"


def test_an_invitation_is_no_sign_in_for_an_account(client, acme, a2, b1):
    invite(acme, a2, b1.email)
    client.post(f"/invitations/{token_sent()}/", GOOD)
    assert client.get("/").status_code == 302
    b1.refresh_from_db()
    assert b1.check_password(PASSWORD)


@pytest.mark.parametrize("who", ["b1", "g1"])
def test_the_wrong_person_is_told_so_without_the_address(client, acme, a2, who, request):
    invite(acme, a2)
    address = f"/invitations/{token_sent()}/"
    client.force_login(request.getfixturevalue(who))
    for answer in (client.get(address), client.post(address, GOOD)):
        assert answer.status_code == 403
        assert "n…@acme.example" in answer.content.decode()
        assert NEW not in answer.content.decode()
    assert not Membership.objects.filter(organisation=acme).exclude(user=a2).exists()


def test_staff_are_no_customer_s_people(acme, a2, g1):
    invite(acme, a2, g1.email)
    with pytest.raises(Refused):
        invitation_verbs.accept(token_sent(), by=g1, now=T0)
    assert not g1.memberships.exists()


@pytest.mark.parametrize("end", ["used", "withdrawn", "expired", "renewed", "inactive organisation"])
def test_a_dead_link_is_the_page_of_an_invented_one(client, acme, a2, end, at_t0):
    made = invite(acme, a2)
    token = token_sent()
    if end == "used":
        client.post(f"/invitations/{token}/", GOOD)
        client.logout()
    elif end == "withdrawn":
        invitation_verbs.withdraw(made, by=a2, now=T0)
    elif end == "renewed":
        invitation_verbs.renew(made, by=a2, now=T0)
    elif end == "inactive organisation":
        Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    else:
        at_t0.shift(timedelta(days=7))
    for method in (client.get, client.post):
        dead, invented = method(f"/invitations/{token}/"), method(f"/invitations/{'x' * 43}/")
        assert (dead.status_code, invented.status_code) == (404, 404)
        assert dead.content == invented.content
        said, other = ({**answer.headers, "X-Request-ID": ""} for answer in (dead, invented))
        assert said == other
    before = Membership.objects.count()
    with pytest.raises(Refused):
        invitation_verbs.accept(
            token, by=factories.person("x@x.example", "X", acme, "viewer"), now=timezone.now()
        )
    assert Membership.objects.count() == before + 1


def test_wrong_links_are_throttled(client, acme, a2):
    invite(acme, a2)
    token = token_sent()
    codes = [client.get(f"/invitations/{number:043d}/").status_code for number in range(21)]
    assert codes == [404] * 20 + [429]
    answer = client.get(f"/invitations/{token}/")
    assert (answer.status_code, answer["Retry-After"]) == (429, "600")


def test_who_belongs_there_by_now_keeps_their_role(acme, a2, b1):
    invite(acme, a2, b1.email, role="viewer")
    Membership.objects.create(user=b1, organisation=acme, role="member")
    invitation_verbs.accept(token_sent(), by=b1, now=T0)
    assert place(b1, acme).role == "member"


def test_whose_team_is_gone_sees_their_own(acme, a2, b1, team):
    invite(acme, a2, b1.email, visibility="team", team=team)
    token = token_sent()
    team.delete()
    invitation_verbs.accept(token, by=b1, now=T0)
    assert place(b1, acme).visibility == "own"


# --- roles ---


def change(user, acme, by, **given):
    return verbs.change_membership(place(user, acme), by=by, now=T0, **given)


def test_a_manager_changes_what_somebody_is(acme, a1, a2, team):
    change(a1, acme, a2, role="viewer", visibility="team", team=team)
    made = place(a1, acme)
    assert (made.role, made.visibility, made.team) == ("viewer", "team", team)
    entry = AuditEntry.objects.get(kind="membership_changed")
    assert (entry.by, entry.organisation) == (a2, acme)
    assert (entry.facts["role_from"], entry.facts["role_to"], entry.facts["person"]) == (
        "member",
        "viewer",
        a1.pk,
    )
    assert Membership.history.filter(user=a1).first().history_user == a2


@pytest.mark.parametrize("who", ["a1", "a3", "b1", "g1"])
def test_nobody_else_does(acme, a1, a2, a3, who, request):
    by = request.getfixturevalue(who)
    for verb in (
        lambda: change(a1, acme, by, role="manager"),
        lambda: verbs.remove_from_organisation(place(a1, acme), by=by, now=T0),
        lambda: verbs.make_team(acme, name="X", by=by, now=T0),
    ):
        with pytest.raises(Refused) as refused:
            verb()
        assert refused.value.kind == "permission"
    assert place(a1, acme).role == "member"


def test_nobody_raises_themselves(acme, a2, h1):
    Membership.objects.create(user=h1, organisation=acme, role="viewer")
    with pytest.raises(Refused):
        change(h1, acme, h1, role="manager")
    assert change(h1, acme, a2, role="manager")


def test_the_last_manager_is_neither_lowered_nor_removed(acme, a1, a2, h1):
    for verb in (
        lambda: change(a2, acme, a2, role="member"),
        lambda: verbs.remove_from_organisation(place(a2, acme), by=a2, now=T0),
        lambda: change(a2, acme, h1, role="member"),
        lambda: verbs.remove_from_organisation(place(a2, acme), by=h1, now=T0),
    ):
        with pytest.raises(Refused):
            verb()
    change(a2, acme, h1, role="member", reason="they asked us to")
    assert place(a2, acme).role == "member"


def test_a_second_manager_counts_only_while_active(acme, a1, a2):
    change(a1, acme, a2, role="manager")
    User.objects.filter(pk=a1.pk).update(is_active=False)
    with pytest.raises(Refused):
        change(a2, acme, a2, role="member")
    User.objects.filter(pk=a1.pk).update(is_active=True)
    change(a2, acme, a2, role="member")


@pytest.mark.parametrize("flag", ["is_p1_contact", "is_escalation_contact"])
def test_contacts_see_all_incidents(acme, a1, a2, flag):
    with pytest.raises(Refused) as refused:
        change(a1, acme, a2, visibility="own", **{flag: True})
    assert refused.value.field == flag
    change(a1, acme, a2, **{flag: True})
    with pytest.raises(Refused):
        change(a1, acme, a2, visibility="own")


def test_who_is_a_manager_no_more_leaves_no_invitations_behind(acme, a1, a2):
    change(a1, acme, a2, role="manager")
    invite(acme, a2)
    change(a2, acme, a1, role="member")
    assert not Invitation.objects.open(T0).exists()


# --- teams ---


def test_teams_are_made_renamed_and_removed(acme, a1, a2):
    made = verbs.make_team(acme, name="  Card   payments ", by=a2, now=T0)
    assert made.name == "Card payments"
    for name in ("card PAYMENTS", "", "x" * 121):
        with pytest.raises(Refused):
            verbs.make_team(acme, name=name, by=a2, now=T0)
    verbs.rename_team(made, name="Cards", by=a2, now=T0)
    change(a1, acme, a2, team=made)
    with pytest.raises(Refused):
        verbs.remove_team(made, by=a2, now=T0)
    change(a1, acme, a2, team=None)
    verbs.remove_team(made, by=a2, now=T0)
    assert not Team.objects.exists()
    assert [kind for kind in kinds() if kind.startswith("team")] == [
        "team_made",
        "team_changed",
        "team_removed",
    ]


# --- leaving ---


def leave(user, acme, by, **more):
    verbs.remove_from_organisation(place(user, acme), by=by, now=T0, **more)


def test_open_incidents_go_to_somebody_who_answers(acme, a1, a2, a3, b1):
    made = incident(a1, T0)
    for bad in (None, a1, a3, b1):
        with pytest.raises(Refused) as refused:
            leave(a1, acme, a2, to=bad)
        assert refused.value.field == "to"
    assert place(a1, acme)
    leave(a1, acme, a2, to=a2)
    made.refresh_from_db()
    assert made.reporter == a2
    event = made.events.get(kind="reporter_changed")
    assert (event.payload, event.by) == ({"from_id": a1.pk, "to_id": a2.pk}, a2)
    assert not a1.memberships.exists()
    assert kinds()[-1] == "membership_removed"


def test_what_they_wrote_stays(acme, a1, a2):
    made = incident(a1, T0)
    actions.reply(made, by=a1, now=T0, channel="portal", text="my words")
    leave(a1, acme, a2, to=a2)
    assert made.messages.get(text="my words").author == a1


def test_everything_of_theirs_in_the_organisation_is_dead_at_once(client, acme, a1, a2, nordwind):
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    made = incident(a2, T0)
    actions.watch(made, by=a1, now=T0, channel="portal")
    bound, other = (ApiToken.objects.create(user=a1, organisation=of)[0] for of in (acme, None))
    room = factories.channel(acme, "slack")
    ChatIdentity.objects.create(endpoint=room, external_id="U1", person=a1, created_at=T0, created_by=a2)
    service = acme.subscriptions.first().service
    StatusSubscription.objects.create(
        person=a1, organisation=acme, service=service, told_impact="none", told_is_planned=False, told_at=T0
    )
    client.force_login(a1)
    leave(a1, acme, a2)
    assert set(ApiToken.objects.values_list("pk", flat=True)) == {other.pk}
    assert bound.pk != other.pk
    assert not ChatIdentity.objects.exists()
    assert not StatusSubscription.objects.exists()
    assert not made.watchers.exists()
    assert client.get(made.get_absolute_url()).status_code == 302  # to sign in: the session is over
    client.force_login(a1)
    assert client.get(made.get_absolute_url()).status_code == 404


def test_with_the_last_organisation_all_tokens_and_sessions_end(client, acme, a1, a2):
    from allauth.usersessions.models import UserSession

    client.force_login(a1)
    ApiToken.objects.create(user=a1)
    UserSession.objects.create(
        user=a1, session_key=client.session.session_key, ip="127.0.0.1", user_agent="x"
    )
    leave(a1, acme, a2)
    assert not ApiToken.objects.filter(user=a1).exists()
    assert client.get("/").status_code == 302


def test_a_mail_that_waits_for_them_is_dropped(acme, a1, a2, g1):
    made = incident(a1, T0)
    outbox.sweep(T0)
    actions.reply(made, by=g1, now=T0, channel="admin", text="for a1")
    waiting = OutboxMessage.objects.get(kind="answered", recipient=a1)
    leave(a1, acme, a2, to=a2)
    outbox.sweep(T0)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.state_reason) == (
        "dropped",
        "the recipient does not belong to the organisation any more",
    )


def test_a_removal_that_fails_changes_nothing(acme, a1, a2, monkeypatch):
    made = incident(a1, T0)

    def fail(*args, **kwargs):
        raise Refused("no")

    monkeypatch.setattr("incidents.actions.people.stop_watching", fail)
    monkeypatch.setattr("incidents.leaving.actions.stop_watching", fail)
    with pytest.raises(Refused):
        leave(a1, acme, a2, to=a2)
    made.refresh_from_db()
    assert (made.reporter, a1.memberships.count()) == (a1, 1)
