"""Nobody learns who has an account, guesses far, or gets in by a link that is not theirs."""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory

from portal.accounts import AccountAdapter, validate_login_address
from portal.admin import PersonForm
from portal.models import User
from tests.conftest import T0
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN, RESET = "/accounts/login/", "/accounts/password/reset/"


class CountingHasher(PBKDF2PasswordHasher):
    """Counts its runs: what a run costs is the library's, that there is one is ours."""

    algorithm = "counting"
    iterations = 1
    runs = 0

    def encode(self, password, salt, iterations=None):
        CountingHasher.runs += 1
        return super().encode(password, salt, iterations)


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()


@pytest.fixture
def everybody(a1, settings):
    """Addresses of each kind, known and not, that must all look the same to a stranger."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    a1.set_password(PASSWORD)
    a1.save()
    User.objects.create_user("gone@acme.example", PASSWORD, name="Gone", is_active=False)
    User.objects.create_user("sso@acme.example", None, name="By their provider only")
    return [a1.email, "nobody@acme.example", "gone@acme.example", "sso@acme.example"]


def without_secrets(page: bytes, email: str) -> str:
    text = page.decode().replace(email, "ADDRESS")
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)


def test_a_wrong_password_is_answered_alike_for_everybody_with_as_much_hashing(everybody):
    seen = set()
    for email in everybody:
        CountingHasher.runs = 0
        answer = Client().post(LOGIN, {"login": email, "password": "not the password"})
        seen.add((answer.status_code, without_secrets(answer.content, email), CountingHasher.runs))
    assert len(seen) == 1
    assert seen.pop()[2] == 1


def test_the_right_password_of_somebody_disabled_is_answered_like_a_wrong_one(everybody):
    wrong = Client().post(LOGIN, {"login": "nobody@acme.example", "password": PASSWORD})
    right = Client().post(LOGIN, {"login": "gone@acme.example", "password": PASSWORD})
    assert right.status_code == wrong.status_code == 200
    assert without_secrets(right.content, "gone@acme.example") == without_secrets(
        wrong.content, "nobody@acme.example"
    )


def test_a_reset_is_answered_alike_for_everybody_with_one_mail_each(everybody):
    seen = set()
    for email in everybody:
        answer = Client().post(RESET, {"email": email})
        seen.add((answer.status_code, answer["Location"], answer.content))
    assert len(seen) == 1
    assert [message.to for message in mail.outbox] == [[email] for email in everybody]


def test_nobody_signs_up_and_the_page_says_the_same_to_everybody(everybody):
    pages = set()
    for email in everybody:
        answer = Client().post("/accounts/signup/", {"email": email, "password1": "x", "password2": "x"})
        pages.add((answer.status_code, answer.content))
    assert len(pages) == 1
    assert b"by invitation" in pages.pop()[1]


# --- guesses ---


def guess(email: str, times: int, client: Client | None = None, **meta: str) -> list[int]:
    client = client or Client()
    form = {"login": email, "password": "a guess"}
    return [client.post(LOGIN, form, **meta).status_code for _ in range(times)]


def test_guessing_at_one_account_ends_in_one_calm_page(a1):
    assert guess(a1.email, 6) == [200] * 5 + [429]
    answer = Client().post(LOGIN, {"login": a1.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert answer["Retry-After"] == "300"
    assert "Too many tries" in answer.content.decode()


def test_guessing_looks_the_same_at_an_account_that_does_not_exist(a1):
    assert guess("nobody@acme.example", 6) == guess(a1.email, 6, REMOTE_ADDR="192.0.2.1")


def test_a_strangers_guesses_do_not_keep_the_person_out(a1):
    assert guess(a1.email, 6, REMOTE_ADDR="192.0.2.1")[-1] == 429
    assert Client().post(LOGIN, {"login": a1.email, "password": PASSWORD}).status_code == 302


def test_guesses_from_everywhere_are_few_and_a_known_browser_still_gets_in(a1):
    known = Client()
    known.post(LOGIN, {"login": a1.email, "password": PASSWORD})
    known.post("/accounts/logout/")
    answers = [
        status for host in range(11) for status in guess(a1.email, 5, REMOTE_ADDR=f"198.51.100.{host}")
    ]
    assert answers == [200] * 50 + [429] * 5
    fresh = Client().post(LOGIN, {"login": a1.email, "password": PASSWORD})
    assert (fresh.status_code, fresh["Retry-After"]) == (429, "3600")
    assert known.post(LOGIN, {"login": a1.email, "password": PASSWORD}).status_code == 302


def test_a_forged_cookie_makes_no_known_browser(a1):
    forged = Client()
    forged.cookies["known_browser"] = "eyJpZCI6ICJ4IiwgInBlb3BsZSI6IFtdfQ:1:forged"
    for host in range(10):
        guess(a1.email, 5, REMOTE_ADDR=f"198.51.100.{host}")
    assert forged.post(LOGIN, {"login": a1.email, "password": PASSWORD}).status_code == 429


def test_one_address_that_tries_many_accounts_is_stopped():
    client = Client()
    answers = [guess(f"p{number}@acme.example", 1, client)[0] for number in range(11)]
    assert answers == [200] * 10 + [429]


def test_a_claimed_forwarding_address_is_no_way_round(a1):
    answers = [guess(a1.email, 1, HTTP_X_FORWARDED_FOR=f"203.0.113.{n}")[0] for n in range(6)]
    assert answers == [200] * 5 + [429]


def test_behind_a_trusted_proxy_each_client_is_counted_by_its_own_address(a1, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    answers = [guess(a1.email, 1, HTTP_X_FORWARDED_FOR=f"6.6.6.6, 203.0.113.{n}")[0] for n in range(6)]
    assert answers == [200] * 6
    answers = [guess(a1.email, 1, HTTP_X_FORWARDED_FOR=f"7.7.7.{n}, 203.0.113.99")[0] for n in range(6)]
    assert answers == [200] * 5 + [429]


def test_proving_again_who_one_is_can_be_guessed_a_few_times_only(a1):
    client = Client()
    client.force_login(a1)
    answers = [client.post("/accounts/reauthenticate/", {"password": "no"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]


def test_resets_of_one_address_are_few(a1):
    answers = [Client().post(RESET, {"email": a1.email}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [302] * 5 + [429]
    assert answers[-1]["Retry-After"] == "60"


def test_passkey_sign_ins_are_throttled_by_address():
    client = Client()
    answers = [client.post("/accounts/2fa/webauthn/login/", {"credential": "{}"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [429]


# --- the link of a reset ---

NEW = "a perfectly new secret"


def link_of(user: User) -> str:
    Client().post(RESET, {"email": user.email})
    found = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[-1].body)
    assert found
    return found.group()


def use(link: str, password: str = NEW) -> bool:
    """Whether the link led to a form, and the form took the password."""
    client = Client()
    first = client.get(link)
    if first.status_code != 302:
        assert b"does not work any more" in first.content
        return False
    answer = client.post(first["Location"], {"password1": password, "password2": password})
    return answer.status_code == 302


def test_a_reset_link_works_once(a1):
    link = link_of(a1)
    assert use(link)
    assert not use(link, "another new secret")
    a1.refresh_from_db()
    assert a1.check_password(NEW)


def test_a_form_that_was_open_before_the_link_was_used_is_dead_too(a1):
    link, late = link_of(a1), Client()
    form = late.get(link)["Location"]
    assert use(link)
    late.post(form, {"password1": "a late new secret", "password2": "a late new secret"})
    a1.refresh_from_db()
    assert a1.check_password(NEW)


@pytest.mark.parametrize("change", [{"email": "moved@acme.example"}, {"password": "changed"}])
def test_a_reset_link_dies_with_the_password_and_with_the_address(a1, change):
    link = link_of(a1)
    User.objects.filter(pk=a1.pk).update(**change)
    assert not use(link)


def test_a_reset_link_of_somebody_disabled_since_signs_nobody_in(a1):
    link = link_of(a1)
    User.objects.filter(pk=a1.pk).update(is_active=False)
    use(link)
    assert Client().post(LOGIN, {"login": a1.email, "password": NEW}).status_code == 200


def test_a_reset_link_works_for_an_hour(a1):
    with time_machine.travel(T0, tick=False) as traveller:
        early, late = link_of(a1), link_of(a1)
        traveller.shift(timedelta(minutes=60))
        assert use(early)
        a1.set_password(PASSWORD)
        a1.save()
        late = link_of(a1)
        traveller.shift(timedelta(minutes=60, seconds=1))
        assert not use(late)


def test_one_persons_token_opens_no_other_account(a1, a2):
    mine, theirs = link_of(a1), link_of(a2)
    owner, token = mine.split("/key/")[1].split("-", 1)
    other = theirs.split("/key/")[1].split("-", 1)[0]
    assert owner != other
    assert not use(f"/accounts/password/reset/key/{other}-{token}")


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda _token: "null", lambda _token: "-", lambda t: t[:-2] + "/"]
)
def test_no_spoilt_token_opens_anything(a1, spoil):
    link = link_of(a1)
    owner, token = link.split("/key/")[1].split("-", 1)
    assert not use(f"/accounts/password/reset/key/{owner}-{spoil(token.strip('/'))}/")


def test_an_empty_token_and_the_bare_form_open_nothing(a1):
    owner = link_of(a1).split("/key/")[1].split("-", 1)[0]
    assert Client().get(f"/accounts/password/reset/key/{owner}-/").status_code == 404
    form = f"/accounts/password/reset/key/{owner}-set-password/"
    answer = Client().post(form, {"password1": NEW, "password2": NEW})
    assert b"does not work any more" in answer.content
    a1.refresh_from_db()
    assert a1.check_password(PASSWORD)


@pytest.mark.parametrize("header", ["host", "x_forwarded_host", "forwarded"])
def test_no_header_moves_the_link_to_another_host(a1, settings, header):
    settings.SITE_URL, settings.ALLOWED_HOSTS = "https://support.example.com", ["*"]
    Client().post(RESET, {"email": a1.email}, headers={header: "evil.example.net"})
    whole = str(mail.outbox[0].message())
    assert "https://support.example.com/accounts/password/reset/key/" in whole
    assert "evil" not in whole


def test_the_token_stays_out_of_the_address_the_referer_and_the_log(a1, caplog):
    link, client = link_of(a1), Client()
    token = link.split("-", 1)[1].strip("/")
    form = client.get(link)["Location"]
    assert token not in form
    page = client.get(form)
    assert page["Referrer-Policy"] == "same-origin"
    assert token not in page.content.decode()
    record = logging.LogRecord("django.server", 20, "", 0, '"GET %s HTTP/1.1" 302', (link,), None)
    from portal.logs import HideTokens

    assert HideTokens().filter(record)
    assert token not in record.getMessage()
    assert "/password/reset/key/" in record.getMessage()


def test_after_a_reset_the_guesses_of_before_count_no_more(a1):
    guess(a1.email, 5)
    assert use(link_of(a1))
    assert Client().post(LOGIN, {"login": a1.email, "password": NEW}).status_code == 302


def test_a_person_hears_by_mail_of_a_new_password(a1):
    use(link_of(a1))
    assert [message.to for message in mail.outbox] == [[a1.email]] * 2
    assert "UTC" in mail.outbox[1].body


# --- passwords ---


@pytest.mark.parametrize(
    "password", ["short-one12", "password1234", "BriqMind-2026!", "briqmindsupport1", "a1@acme.example1"]
)
def test_a_guessable_password_is_refused(a1, password):
    with pytest.raises(ValidationError):
        AccountAdapter().clean_password(password, a1)


@pytest.mark.parametrize("password", ["twelve chars", "ğüşiöç çok uzun", "x y" * 40 + "!"])
def test_a_long_one_is_taken_whatever_it_is_made_of(a1, password):
    assert AccountAdapter().clean_password(password, a1) == password


@pytest.mark.parametrize("count", [1, 2, 3, 700])
def test_a_password_that_became_known_elsewhere_is_refused(a1, settings, tmp_path, count):
    known = [f"a breached secret {n}" for n in range(count)]
    lines = sorted(hashlib.sha1(each.encode()).hexdigest().upper() for each in known)
    file = tmp_path / "known.txt"
    for ending in ("\n", ":3\r\n", ":12345678\n"):
        file.write_text("".join(line + ending for line in lines))
        settings.BREACHED_PASSWORDS_FILE = str(file)
        for each in known:
            with pytest.raises(ValidationError, match="known elsewhere"):
                AccountAdapter().clean_password(each, a1)
        for n in range(20):
            assert AccountAdapter().clean_password(f"a fresh secret {n}", a1)


def test_an_empty_file_of_known_passwords_refuses_nothing(a1, settings, tmp_path):
    settings.BREACHED_PASSWORDS_FILE = str(tmp_path / "none.txt")
    (tmp_path / "none.txt").write_text("")
    assert AccountAdapter().clean_password("a breached secret", a1)


# --- addresses that we receive mail at ---

OURS = [
    "support@support.briqmind.example",
    "anybody@support.briqmind.example",
    "reply+abc@SUPPORT.BriqMind.Example.",
    "x@deep.support.briqmind.example",
    "help@help.example.org",
]


@pytest.fixture
def _receiving(settings):
    settings.MAIL_DOMAIN, settings.SUPPORT_EMAIL = "support.briqmind.example", "hello@help.example.org"


@pytest.mark.usefixtures("_receiving")
@pytest.mark.parametrize("email", OURS)
class TestAnAddressOfOursIsNobodys:
    def test_when_a_person_is_made(self, email):
        with pytest.raises(ValidationError):
            User.objects.create_user(email, PASSWORD)

    def test_in_the_model(self, email):
        with pytest.raises(ValidationError, match="comes to the portal"):
            User(email=email.rstrip("."), name="X").full_clean(exclude=["password"])

    def test_on_the_desk(self, email):
        form = PersonForm({"email": email, "name": "X", "daily_summary_hour": 8})
        assert "email" in form.errors

    def test_for_whoever_asks_the_rule(self, email):
        with pytest.raises(ValidationError):
            validate_login_address(email)

    def test_for_allauth(self, email):
        with pytest.raises(ValidationError):
            AccountAdapter().clean_email(email)

    def test_at_the_sign_in_of_an_account_of_before(self, email, settings):
        settings.MAIL_DOMAIN, domain = "else.example", settings.MAIL_DOMAIN
        settings.SUPPORT_EMAIL, support = "x@else.example", settings.SUPPORT_EMAIL
        User.objects.create_user(email.rstrip("."), PASSWORD, name="X")
        settings.MAIL_DOMAIN, settings.SUPPORT_EMAIL = domain, support
        answer = Client().post(LOGIN, {"login": email.rstrip("."), "password": PASSWORD})
        assert answer.status_code == 200
        assert "_auth_user_id" not in Client().session

    def test_by_passkey_or_provider(self, email):
        request = RequestFactory().get("/")
        adapter = AccountAdapter(request)
        answer = adapter.pre_login(request, User(email=email), **dict.fromkeys(LOGIN_ARGUMENTS))
        assert answer["Location"] == "/accounts/inactive/"


LOGIN_ARGUMENTS = ["email_verification", "signal_kwargs", "email", "signup", "redirect_url"]


@pytest.mark.usefixtures("_receiving")
@pytest.mark.parametrize(
    "email", ["g1@briqmind.example", "ada@notsupport.briqmind.example", "x@example.org", "a@acme.example"]
)
def test_neighbours_of_our_domains_are_fine(email):
    validate_login_address(email)


def test_the_address_page_changes_nothing(a1):
    client = Client()
    client.force_login(a1)
    assert a1.email in client.get("/accounts/email/").content.decode()
    assert client.post("/accounts/email/", {"email": "new@acme.example", "action_add": ""}).status_code == 405
