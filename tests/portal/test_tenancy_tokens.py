"""Tokens, second factors, the status page and home: what is another person's counts for nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator

from maintenance.models import MaintenanceWindow, WindowOrganisation, WindowService
from portal import second_factor, tokens
from portal.models import ApiToken, Membership, Organisation, Service, ServiceImpact, StatusSubscription
from portal.token_views import TokenForm
from portal.verbs import Refused
from tests.conftest import T0
from tests.factories import CANARY, incident
from tests.portal.api_client import API, bearer

pytestmark = pytest.mark.django_db
RECOVERY = Authenticator.Type.RECOVERY_CODES


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


def create(person, **given):
    return tokens.create(
        person, **({"name": "x", "scope": "read", "days": 9, "now": T0, "by": person} | given)
    )


# --- tokens ---


def test_the_tokens_of_others_take_no_room(a1, a2, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 1)
    create(a2)
    create(a1)
    with pytest.raises(Refused):
        create(a1)


def test_the_verb_itself_gives_away_nothing_that_is_not_the_person_s(a1, nordwind, acme):
    foreign = Service.objects.create(name="Theirs", slug="theirs")
    nordwind.subscriptions.create(service=foreign)
    for field, value in (("scope", "everything"), ("organisation", nordwind), ("service", foreign)):
        with pytest.raises(Refused) as refused:
            create(a1, **{field: value})
        assert refused.value.field == field
    assert not ApiToken.objects.exists()
    offered = TokenForm(user=a1).fields
    assert foreign not in offered["service"].queryset
    assert list(offered["organisation"].queryset) == [acme]


def test_a_bound_token_lists_what_is_bound_like_it_and_managers_others_only(a2, acme, nordwind):
    Membership.objects.create(user=a2, organisation=nordwind, role="member")
    bearer(a2, name="unbound")
    bearer(a2, name="elsewhere", organisation=nordwind)
    bound = bearer(a2, name="here", organisation=acme)
    assert [row["name"] for row in bound.get(f"{API}tokens/").json()["results"]] == ["here"]
    assert not tokens.managed(a2).exists()


# --- second factors ---


def test_a_factor_or_code_of_somebody_else_is_none_of_mine(a1, g1, g2, settings):
    settings.STAFF_SECOND_FACTOR = True
    mine = Authenticator.objects.create(user=g1, type="totp", data={"secret": "x"})
    Authenticator.objects.create(user=g2, type="totp", data={"secret": "x"})
    assert second_factor.is_last(mine)
    Authenticator.objects.create(user=g2, type=RECOVERY, data={"seed": "x", "used_mask": 0})
    assert second_factor.codes_left(g1) is None


# --- the status page and home ---


def test_the_subscriptions_of_a_colleague_are_not_shown_as_mine(client, a1, a2, acme):
    service = acme.subscriptions.order_by("pk").first().service
    StatusSubscription.objects.create(
        person=a2, organisation=acme, service=service, told_impact="none", told_is_planned=False, told_at=T0
    )
    for person, subscribed in ((a1, False), (a2, True)):
        client.force_login(person)
        [board] = client.get("/status/").context["boards"]
        assert any(card.is_subscribed for card in board.cards) is subscribed
        assert "organisations" not in client.get("/status/").context  # only staff choose among all


def test_a_window_of_others_that_was_felt_is_not_named(client, a1, acme, nordwind, g1):
    service = acme.subscriptions.order_by("pk").first().service
    window = MaintenanceWindow.objects.create(
        title=f"Theirs {CANARY}", description="Work", status="in_progress", starts_at=T0 - timedelta(hours=1), ends_at=T0 + timedelta(hours=1),
        rollback_decision_at=T0, owner=g1, author=g1, announced_at=T0,
    )  # fmt: skip
    WindowService.objects.create(window=window, service=service, impact="degraded")
    WindowOrganisation.objects.create(window=window, organisation=nordwind, since=T0)
    ServiceImpact.objects.create(
        service=service, organisation=acme, impact="degraded", source=window.reference, from_at=T0
    )
    client.force_login(a1)
    page = client.get(f"/status/{service.slug}/").content.decode()
    assert window.reference in page
    assert CANARY not in page
    assert f"/maintenance/{window.reference}/" not in page


def test_a_service_of_others_has_no_status_page(client, a1, nordwind):
    foreign = Service.objects.create(name="Theirs", slug="theirs")
    nordwind.subscriptions.create(service=foreign)
    client.force_login(a1)
    assert client.get("/status/theirs/").status_code == 404


def test_home_holds_no_incident_of_a_colleague_for_who_sees_their_own(client, a1, a2):
    incident(a2, T0, title=f"Colleague's {CANARY}")
    Membership.objects.filter(user=a1).update(visibility="own")
    client.force_login(a1)
    page = client.get("/")
    assert CANARY not in page.content.decode()
    assert not page.context["open"]


def test_a_service_s_mails_are_for_one_s_own_organisations_that_stand(client, a1, acme, nordwind):
    service = acme.subscriptions.order_by("pk").first().service
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    client.force_login(a1)
    page = client.get(f"/status/{service.slug}/subscription/").context
    assert set(page["others"]) == {acme, nordwind}
    Organisation.objects.filter(pk=nordwind.pk).update(is_active=False)
    page = client.get(f"/status/{service.slug}/subscription/").context
    assert list(page["others"]) == [acme]
    given = {"organisation": "nordwind", "wanted": "yes"}
    assert client.post(f"/status/{service.slug}/subscription/", given).status_code == 404
