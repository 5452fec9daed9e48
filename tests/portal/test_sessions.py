"""A sign-in ends when what it was given for is gone: at its very next request, on every device."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from portal.models import AuditEntry, Membership, User
from tests.conftest import T0
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
HOME = "/profile/"


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()


def signed_in(user: User, **headers: str) -> Client:
    client = Client(headers=headers)
    answer = client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content
    assert lives(client)
    return client


def lives(client: Client) -> bool:
    answer = client.get(HOME)
    assert answer.status_code == 200 or answer["Location"].startswith("/accounts/login/"), answer["Location"]
    return answer.status_code == 200


def app_of(user: User) -> Authenticator:
    return Authenticator.objects.create(user=user, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})


def test_a_session_planted_before_the_sign_in_is_worth_nothing_after_it(a1):
    victim, thief = Client(), Client()
    victim.get("/accounts/login/")
    victim.session.save()
    planted = victim.session.session_key
    victim.cookies["sessionid"] = planted
    victim.post("/accounts/login/", {"login": a1.email, "password": PASSWORD})
    assert victim.cookies["sessionid"].value != planted
    thief.cookies["sessionid"] = planted
    assert not lives(thief)


def test_a_cookie_is_dead_after_signing_out(a1):
    client = signed_in(a1)
    kept = client.cookies["sessionid"].value
    client.post("/accounts/logout/")
    thief = Client()
    thief.cookies["sessionid"] = kept
    assert not lives(thief)


def test_changing_the_password_ends_the_other_devices_and_keeps_this_one(a1):
    here, there = signed_in(a1), signed_in(a1)
    new = "a rather long new one"
    answer = here.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert answer.status_code == 302
    assert (lives(here), lives(there)) == (True, False)


def test_changing_the_password_asks_for_the_present_one(a1):
    here = signed_in(a1)
    for present in ("", "wrong", PASSWORD.upper() + " "):
        form = {
            "oldpassword": present,
            "password1": "a perfectly new secret",
            "password2": "a perfectly new secret",
        }
        assert here.post("/accounts/password/change/", form).status_code == 200
    a1.refresh_from_db()
    assert a1.check_password(PASSWORD)


def test_a_password_counts_exactly_as_it_was_typed(a1):
    a1.set_password("  Ğ long One with edges  ")
    a1.save()
    for wrong in ("Ğ long One with edges", "  ğ long one with edges  ", "  Ğ long One with edges   "):
        assert Client().post("/accounts/login/", {"login": a1.email, "password": wrong}).status_code == 200
    right = {"login": a1.email, "password": "  Ğ long One with edges  "}
    assert Client().post("/accounts/login/", right).status_code == 302


def test_resetting_the_password_ends_every_device(a1):
    clients = [signed_in(a1), signed_in(a1)]
    a1.set_password("another rather long one")
    a1.save()
    assert [lives(client) for client in clients] == [False, False]


def test_a_deactivated_person_is_out_at_once_and_their_sessions_do_not_come_back(a1, root, client):
    theirs = signed_in(a1)
    client.force_login(root)
    page = f"/admin/portal/user/{a1.pk}/change/"
    form = {"email": a1.email, "name": a1.name, "daily_summary_hour": "8"}
    assert client.post(page, form).status_code == 302
    a1.refresh_from_db()
    assert not a1.is_active
    assert client.post(page, form | {"is_active": "on"}).status_code == 302  # no request of theirs between
    assert not lives(theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: Membership.objects.filter(user=user).update(role="viewer"),
        lambda user: Membership.objects.filter(user=user).delete(),
        lambda user: User.objects.filter(pk=user.pk).update(email="else@acme.example"),
        lambda user: User.objects.filter(pk=user.pk).update(is_staff=True, staff_role="agent"),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False, erased_at=timezone.now()),
    ],
    ids=["role", "removal", "address", "staff role", "deactivation", "erasure"],
)
def test_whoever_loses_or_changes_a_right_is_signed_out_whichever_door_changed_it(a1, change):
    clients = [signed_in(a1), signed_in(a1)]
    change(a1)
    assert [lives(client) for client in clients] == [False, False]


@pytest.mark.parametrize("fields", [{"staff_role": "agent"}, {"is_limited": True}, {"is_staff": False}])
def test_staff_whose_role_changes_are_signed_out(m1, fields):
    client = signed_in(m1)
    User.objects.filter(pk=m1.pk).update(**fields)
    assert not lives(client)


def test_what_is_added_ends_nothing(a1, nordwind):
    client = signed_in(a1)
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    assert lives(client)
    Membership.objects.filter(user=a1, organisation=nordwind).update(role="member")
    assert not lives(client)  # for the addition was taken note of


def test_a_factor_that_is_removed_ends_the_sessions_begun_with_it(a1):
    factor, second = app_of(a1), Authenticator.objects.create(user=a1, type="webauthn", data={"name": "k"})
    client = Client()
    client.force_login(a1)
    assert lives(client)
    second.delete()
    assert not lives(client)
    client.force_login(a1)
    factor.delete()
    assert not lives(client)


def test_a_first_factor_ends_the_sessions_begun_without_it_and_a_second_one_ends_none(a1):
    client = signed_in(a1)
    app_of(a1)
    assert not lives(client)
    client.force_login(a1)
    Authenticator.objects.create(user=a1, type="webauthn", data={"name": "key"})
    assert lives(client)


def test_the_session_in_which_a_factor_is_set_up_goes_on_and_the_others_end(a1):
    here, there = signed_in(a1), signed_in(a1)
    page = here.get("/accounts/2fa/totp/activate/")
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time

    counter = next(iter(yield_hotp_counters_from_time()))
    code = format_hotp_value(hotp_value(page.context["form"].secret, counter))
    answer = here.post("/accounts/2fa/totp/activate/", {"code": code})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    assert (lives(here), lives(there)) == (True, False)


@pytest.mark.parametrize(
    ("who", "idle", "longest"), [("a1", 24, 7 * 24), ("g1", 2, 12)], ids=["customer", "staff"]
)
def test_a_sign_in_ends_after_a_pause_and_after_its_longest_time(request, who, idle, longest):
    user = request.getfixturevalue(who)
    with time_machine.travel(T0, tick=False) as traveller:
        client = signed_in(user)
        traveller.shift(timedelta(hours=idle, seconds=-1))
        assert lives(client)
        traveller.shift(timedelta(hours=idle, seconds=1))
        assert not lives(client)
        client = signed_in(user)
        for _ in range(int(longest * 60 / 61)):
            traveller.shift(timedelta(minutes=61))
            assert lives(client)
        traveller.shift(timedelta(minutes=61))
        assert not lives(client)


def test_what_a_page_asks_for_by_itself_keeps_nobody_signed_in(a1):
    with time_machine.travel(T0, tick=False) as traveller:
        client = signed_in(a1)
        for _ in range(24):
            traveller.shift(timedelta(hours=1))
            answer = client.get(HOME, headers={"HX-Request": "true"})
        assert answer.status_code == 302


def test_a_page_costs_no_query_more_while_nothing_changes(a1, django_assert_num_queries):
    client = Client()
    client.force_login(a1)
    with django_assert_num_queries(
        5
    ):  # the session, the person, and for the header: zone, reports, organisations
        client.get(HOME)


# --- the page ---

DEVICES = {
    "here": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "there": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605 Version/17.5 Safari/604.1",
}


def test_the_page_shows_each_device_with_address_and_time(a1):
    here, _there = (signed_in(a1, user_agent=each) for each in DEVICES.values())
    page = here.get("/accounts/sessions/").content.decode()
    for words in (
        "Firefox on Linux",
        "Safari on iPhone",
        "127.0.0.1",
        "this one",
        "Sign out everywhere else",
    ):
        assert words in page
    assert "UTC+3" in page  # times say their zone


def test_sign_out_everywhere_else_ends_the_others_and_not_this_one_or_anybody_elses(a1, b1):
    here, there, stranger = signed_in(a1), signed_in(a1), signed_in(b1)
    assert here.post("/accounts/sessions/")["Location"] == "/accounts/sessions/"
    assert (lives(here), lives(there), lives(stranger)) == (True, False, True)


def test_one_device_is_signed_out_by_its_button(a1, b1):
    here, there, stranger = signed_in(a1), signed_in(a1), signed_in(b1)
    pk = UserSession.objects.get(session_key=there.session.session_key).pk
    theirs = UserSession.objects.get(session_key=stranger.session.session_key).pk
    assert here.post(f"/accounts/sessions/{theirs}/end/").status_code == 404
    assert here.post(f"/accounts/sessions/{pk}/end/").status_code == 302
    assert (lives(here), lives(there), lives(stranger)) == (True, False, True)


def test_other_sessions_are_ended_only_by_whoever_has_just_proved_who_they_are(a1):
    with time_machine.travel(T0, tick=False) as traveller:
        here, there = signed_in(a1), signed_in(a1)
        traveller.shift(timedelta(minutes=5, seconds=1))
        pk = UserSession.objects.get(session_key=there.session.session_key).pk
        answer = here.post(f"/accounts/sessions/{pk}/end/")
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        answer = here.post("/accounts/sessions/")
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert lives(there)
        here.post(answer["Location"], {"password": PASSWORD})
        assert not lives(there)


def test_whoever_proves_again_who_they_are_goes_on_under_a_new_key(a1):
    with time_machine.travel(T0, tick=False) as traveller:
        here, there = signed_in(a1), signed_in(a1)
        former = here.cookies["sessionid"].value
        traveller.shift(timedelta(minutes=5, seconds=1))
        here.post("/accounts/reauthenticate/", {"password": "wrong"})
        assert here.cookies["sessionid"].value == former
        here.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert here.cookies["sessionid"].value != former
        assert lives(here)
        assert lives(there)
        old = Client()
        old.cookies["sessionid"] = former
        assert not lives(old)
        assert not UserSession.objects.filter(session_key=former).exists()
        assert UserSession.objects.filter(user=a1).count() == 2


def test_one_person_or_everybody_is_signed_out_by_a_command(a1, b1):
    devices = [signed_in(a1), signed_in(a1), signed_in(b1)]
    call_command("end_sessions", a1.email.upper())
    assert [lives(device) for device in devices] == [False, False, True]
    call_command("end_sessions", "--all")
    assert not lives(devices[2])
    assert AuditEntry.objects.filter(kind="sessions_ended").count() == 2


@pytest.mark.parametrize("words", [[], ["nobody@acme.example"], ["a1@acme.example", "--all"]])
def test_the_command_wants_to_know_whose(a1, words):
    here = signed_in(a1)
    with pytest.raises(CommandError):
        call_command("end_sessions", *words)
    assert lives(here)


def test_last_seen_is_kept_by_the_minute(a1):
    with time_machine.travel(T0, tick=False) as traveller:
        client = signed_in(a1)
        traveller.shift(timedelta(seconds=59))
        client.get(HOME)
        row = UserSession.objects.get()
        assert row.last_seen_at == T0
        traveller.shift(timedelta(seconds=1))
        client.get(HOME)
        row.refresh_from_db()
        assert row.last_seen_at == T0 + timedelta(minutes=1)


def test_a_sign_in_from_an_unknown_browser_is_told_by_mail_and_a_known_one_is_not(a1, settings):
    settings.SIGN_IN_NOTICES = True
    first = signed_in(a1)  # the first of all is expected
    assert mail.outbox == []
    first.post("/accounts/logout/")
    first.post("/accounts/login/", {"login": a1.email, "password": PASSWORD})
    assert mail.outbox == []
    signed_in(a1, user_agent="Firefox/1 on my cousin's machine")
    assert [message.to for message in mail.outbox] == [[a1.email]]
    assert "my cousin's machine" in mail.outbox[0].body
    assert "UTC" in mail.outbox[0].body
