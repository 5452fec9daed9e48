"""Tokens: made and revoked in the portal, bound to what they are for, dead with what they were made for."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from incidents.models import Alarm, AlarmSource, Incident
from maintenance.actions import enter_freeze
from portal import tokens
from portal.models import ApiToken, AuditEntry, Impersonation, Membership, Service, StaffLimit
from portal.token_views import TokenForm
from tests.conftest import T0
from tests.factories import incident
from tests.maintenance import world
from tests.portal.api_client import API, bearer


@pytest.fixture(autouse=True)
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def fresh(client, monkeypatch):
    """A browser whose person has just given their password."""
    monkeypatch.setattr(
        "allauth.account.internal.flows.reauthentication.did_recently_reauthenticate", lambda request: True
    )
    return client


def make(client, **data):
    return client.post("/tokens/new/", {"name": "Ticket system", "scope": "read", "days": 30} | data)


# --- the page ---


def test_a_token_is_shown_once_and_listed_for_ever(fresh, a1):
    fresh.force_login(a1)
    assert make(fresh).url == "/tokens/"
    page = fresh.get("/tokens/").content.decode()
    made = ApiToken.objects.get()
    secret = page.partition('aria-describedby="secret-help">')[2].partition("<")[0]
    assert len(secret) == 64
    assert made.expiry == T0 + timedelta(days=30)
    again = fresh.get("/tokens/").content.decode()
    assert secret not in again
    for words in ("Ticket system", secret[:8], "Read"):
        assert words in again
    answer = fresh.get(f"{API}profile/", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json()["email"] == a1.email


def test_making_one_asks_for_the_password_again(client, a1):
    client.force_login(a1)
    assert make(client).url.startswith("/accounts/reauthenticate/")
    assert ApiToken.objects.count() == 0


def test_what_nobody_may_give_away_is_refused(fresh, a1, a3, nordwind, acme):
    theirs = Service.objects.create(name="Theirs", slug="theirs")
    fresh.force_login(a1)
    for data in (
        {"organisation": nordwind.pk},
        {"service": theirs.pk},
        {"days": 0},
        {"days": 366},
        {"days": ""},
        {"name": " "},
        {"scope": "admin"},
        {"scope": "alarms"},
        {"scope": "alarms", "organisation": acme.pk, "service": Service.objects.get(slug="inference-api").pk},
    ):
        assert make(fresh, **data).status_code == 400, data
    fresh.force_login(a3)
    assert make(fresh, scope="alarms", organisation=acme.pk).status_code == 403
    assert ApiToken.objects.count() == 0


def looking_as(get_response):
    """As the middleware does while staff look at the portal as somebody."""

    def middleware(request):
        request.impersonator = request.user
        request.impersonation = Impersonation(
            staff=request.user, person=request.user, started_at=T0, expires_at=T0
        )
        return get_response(request)

    return middleware


def test_nobody_makes_one_in_another_person_s_name(fresh, a1, settings):
    fresh.force_login(a1)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.looking_as"]
    assert make(fresh).status_code == 403
    assert ApiToken.objects.count() == 0


def test_the_form_offers_only_what_is_one_s_own(a1, b1, acme):
    form = TokenForm(user=a1)
    assert list(form.fields["organisation"].queryset) == [acme]


def test_its_person_and_the_manager_of_what_it_is_bound_to_revoke_it(client, a1, a2, a3, b1, acme):
    bound = bearer(a1, organisation=acme, name="bound").token
    free = bearer(a1, name="free").token
    client.force_login(a2)
    page = client.get("/tokens/").content.decode()
    assert "bound" in page
    assert "free" not in page.replace("free ", "")
    for person, token, status in [
        (a3, bound, 404),
        (b1, bound, 404),
        (a2, free, 404),
        (a2, bound, 302),
        (a1, free, 302),
    ]:
        client.force_login(person)
        answer = client.post(f"/tokens/{tokens.id_of(token)}/revocation/")
        assert answer.status_code == status, (person, token.name)
    assert ApiToken.objects.count() == 0


def test_the_verb_itself_refuses_whoever_neither_owns_nor_manages_it(a1, a3, b1, acme):
    bound = bearer(a1, organisation=acme).token
    for person in (a3, b1):
        with pytest.raises(tokens.Refused, match="revokes a token"):
            tokens.revoke(bound, by=person, now=T0)
    assert ApiToken.objects.count() == 1


def test_making_and_revoking_stand_in_the_audit(fresh, a1, acme):
    fresh.force_login(a1)
    make(fresh, organisation=acme.pk)
    made = ApiToken.objects.get()
    fresh.post(f"/tokens/{tokens.id_of(made)}/revocation/")
    rows = list(AuditEntry.objects.filter(kind__startswith="token").order_by("pk"))
    assert [(row.kind, row.by, row.organisation) for row in rows] == [
        ("token_created", a1, acme),
        ("token_revoked", a1, acme),
    ]
    assert {row.subject for row in rows} == {f"token/{made.digest[:16]}"}
    assert made.digest not in str([row.facts for row in rows])


def test_there_is_room_for_fifty(a1, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 1)
    given = {"scope": "read", "days": 1, "now": T0, "by": a1}
    tokens.create(a1, name="one", **given)
    with pytest.raises(tokens.Refused, match="Revoke one first"):
        tokens.create(a1, name="two", **given)


# --- the API ---


def test_own_tokens_are_listed_without_secrets_and_revoked(a1, a2):
    client, other = bearer(a1, name="mine"), bearer(a2)
    rows = client.get(f"{API}tokens/").json()["results"]
    assert [(row["name"], row["is_this"]) for row in rows] == [("mine", True)]
    assert client.token.digest not in str(rows)
    assert client.delete(f"{API}tokens/{tokens.id_of(other.token)}/").status_code == 404
    assert client.post(f"{API}tokens/", {"name": "x"}).status_code == 405
    assert bearer(a1, scope="read").delete(f"{API}tokens/{rows[0]['id']}/").status_code == 403
    assert client.delete(f"{API}tokens/{rows[0]['id']}/").status_code == 204
    assert client.get(f"{API}tokens/").status_code == 401


# --- dead tokens ---


def die_by_expiry(token):
    ApiToken.objects.filter(pk=token.pk).update(expiry=T0)


def die_by_person(token):
    token.user.is_active = False
    token.user.save()


def die_by_erasure(token):
    token.user.erased_at = T0
    token.user.save()


def die_by_leaving(token):
    token.user.memberships.all().delete()


def die_by_the_organisation(token):
    token.organisation.is_active = False
    token.organisation.save()


def die_by_the_service(token):
    token.service.is_active = False
    token.service.save()


@pytest.mark.parametrize(
    "die",
    [
        die_by_expiry,
        die_by_person,
        die_by_erasure,
        die_by_leaving,
        die_by_the_organisation,
        die_by_the_service,
    ],
)
def test_a_token_dies_with_what_it_was_made_for(a1, acme, die):
    client = bearer(a1, organisation=acme, service=Service.objects.get(slug="inference-api"))
    assert client.get(f"{API}incidents/").status_code == 200
    die(client.token)
    assert client.get(f"{API}incidents/").status_code == 401


def test_a_token_of_limited_staff_sees_what_they_see(a1, b1, g1, acme):
    ours, theirs = incident(a1, T0), incident(b1, T0)
    g1.is_limited = True
    g1.save()
    StaffLimit.objects.create(user=g1, organisation=acme)
    client = bearer(g1)
    rows = client.get(f"{API}incidents/").json()["results"]
    assert [row["reference"] for row in rows] == [ours.reference]
    assert client.get(f"{API}incidents/{theirs.reference}/").status_code == 404
    assert (
        bearer(g1, organisation=b1.memberships.get().organisation).get(f"{API}incidents/").status_code == 401
    )


def test_what_expired_a_month_ago_is_forgotten(a1):
    old, dead, living = (bearer(a1).token for _ in range(3))
    for token, days in ((old, -31), (dead, -29), (living, 1)):
        ApiToken.objects.filter(pk=token.pk).update(expiry=T0 + timedelta(days=days))
    assert tokens.purge(timezone.now()) == 1
    assert ApiToken.objects.filter(pk=old.pk).count() == 0


# --- one service ---


@pytest.fixture
def one(acme):
    """A service that only some of Acme's things are about."""
    return Service.objects.get(slug="vector-store")


def test_a_token_of_one_service_sees_nothing_of_the_others(a2, g1, g2, acme, one):
    other = Service.objects.get(slug="inference-api")
    window = world.announced(g1, g2)
    mine, others = incident(a2, T0, services=[one]), incident(a2, T0, services=[other])
    when = {"starts_at": T0 + timedelta(days=1), "ends_at": T0 + timedelta(days=2)}
    enter_freeze(acme, **when, service=other, reason="x", by=a2, now=T0, channel="portal")
    enter_freeze(acme, **when, reason="y", by=a2, now=T0, channel="portal")
    client = bearer(a2, service=one)
    rows = client.get(f"{API}incidents/").json()["results"]
    assert [row["reference"] for row in rows] == [mine.reference]
    assert client.get(f"{API}freezes/").json()["results"] == []
    assert client.get(f"{API}maintenance-windows/").json()["results"] == []
    assert [row["slug"] for row in client.get(f"{API}services/").json()["results"]] == [one.slug]
    boards = client.get(f"{API}status/").json()["results"]
    assert [[s["service"] for s in board["services"]] for board in boards] == [[one.slug]]
    for address in (
        f"incidents/{others.reference}/",
        f"incidents/{others.reference}/replies/",
        f"incidents/{others.reference}/rca/",
        f"incidents/{others.reference}/bridge/",
        f"maintenance-windows/{window.reference}/",
        f"maintenance-windows/{window.reference}/rca/",
        f"services/{other.slug}/",
        f"status/{other.slug}/",
    ):
        assert client.get(API + address).status_code == 404, address
    assert client.post(f"{API}incidents/{others.reference}/replies/", {"text": "x"}).status_code == 404
    duplicate = {"original": others.reference, "reason": "x"}
    assert (
        bearer(g1, service=one).post(f"{API}incidents/{mine.reference}/duplicate/", duplicate).status_code
        == 400
    )


def test_what_is_of_no_service_is_closed_to_a_token_of_one(a2, one):
    client = bearer(a2, service=one)
    for noun in ("articles", "announcements", "reports", "channels", "profile", "calendar-feed"):
        said = client.get(f"{API}{noun}/")
        assert (said.status_code, "one service" in said.json()["detail"]) == (403, True), noun


def test_what_a_token_of_one_service_files_is_about_that_service(a1, one):
    client = bearer(a1, service=one)
    filing = {"title": "x", "claimed_level": "P3"}
    made = client.post(f"{API}incidents/", filing)
    assert (made.status_code, made.json()["services"]) == (201, [one.slug])
    assert client.post(f"{API}incidents/", filing | {"services": ["inference-api"]}).status_code == 400
    assert Incident.objects.count() == 1


def test_every_route_of_the_api_says_what_a_token_of_one_service_may_do_there(a1, one):
    """From the URLconf: each GET of a list is answered, refused or empty of other services."""
    from django.urls import get_resolver

    from tests.incidents.test_stranger import patterns

    client = bearer(a1, service=one)
    incident(a1, T0, services=[Service.objects.get(slug="inference-api")], title="hidden words")
    lists = [p for p in patterns(get_resolver()) if p.startswith("api/v1/") and "{" not in p]
    assert len(lists) > 12
    for pattern in lists:
        answer = client.get(f"/{pattern}")
        assert answer.status_code in (200, 401, 403, 405), pattern
        if "schema" not in pattern and "reference" not in pattern:
            assert "hidden words" not in answer.content.decode(), pattern
            assert "inference-api" not in answer.content.decode(), pattern


# --- alarms only ---


def test_a_token_for_alarms_reports_them_for_its_organisation_and_does_nothing_else(a1, acme):
    client = bearer(a1, scope="alarms", organisation=acme, name="Prometheus")
    alarm = {"title": "Disk full", "severity": "critical", "fingerprint": "f"}
    for _ in range(2):
        assert client.post(f"{API}alarms/generic/", alarm, format="json").status_code == 202
    source = AlarmSource.objects.get()
    assert (source.organisation, source.kind, Alarm.objects.get().count) == (acme, "generic", 2)
    for noun in ("incidents", "services", "profile", "tokens", "organisations", "status"):
        assert client.get(f"{API}{noun}/").status_code == 403, noun
    assert client.post(f"{API}incidents/", {"title": "x", "claimed_level": "P3"}).status_code == 403
    source.is_active = False
    source.save()
    assert client.post(f"{API}alarms/generic/", alarm, format="json").status_code == 401


def test_other_tokens_open_no_hatch_and_no_digest_does(a1, acme):
    for fields in ({"scope": "write", "organisation": acme}, {"scope": "alarms"}):
        client = bearer(a1, **fields)
        assert client.post(f"{API}alarms/generic/", {"title": "x"}, format="json").status_code == 401
    client = bearer(a1, scope="alarms", organisation=acme)
    client.post(f"{API}alarms/generic/", {"title": "x"}, format="json")
    digest = AlarmSource.objects.get().token_digest
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {digest}")
    assert client.post(f"{API}alarms/generic/", {"title": "x"}, format="json").status_code == 401
    Membership.objects.all().delete()


# --- by the command ---


def test_the_command_makes_bound_tokens(a1, acme, capsys):
    call_command(
        "create_api_token", a1.email, "--organisation", "acme", "--service", "vector-store", "--scope", "read"
    )
    made = ApiToken.objects.get()
    assert (made.organisation, made.service.slug, made.scope) == (acme, "vector-store", "read")
    assert len(capsys.readouterr().out.strip()) == 64
    for arguments in (["--organisation", "no"], ["--scope", "alarms"], ["--read-only", "--scope", "write"]):
        with pytest.raises(CommandError):
            call_command("create_api_token", a1.email, *arguments)
