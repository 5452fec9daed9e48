"""Signing in tells strangers nothing, and its links and redirects stay on the portal."""

from __future__ import annotations

import re
import time
from statistics import median
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.mail.backends.base import BaseEmailBackend
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path

from portal.accounts import AccountAdapter, on_our_site
from portal.models import User

PASSWORD = "correct horse battery"


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


urlpatterns = [path("accounts/", include("allauth.account.urls")), path("", home)]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _site(settings: Any) -> None:
    cache.clear()  # where the counts of the throttles live
    settings.SITE_URL = "https://support.example.com"
    settings.SUPPORT_BRAND = "Acme Support"
    settings.ALLOWED_HOSTS = ["testserver", "evil.example.net"]


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada@example.com", PASSWORD, name="Ada", language="tr")


class AwayBackend(BaseEmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("mail.internal:25")


def sign_in(client: Client, follow_to: str) -> HttpResponse:
    form = {"login": "ada@example.com", "password": PASSWORD, "next": follow_to}
    return client.post("/accounts/login/", form)


def ask_for_reset(email: str, **headers: str) -> HttpResponse:
    return Client().post("/accounts/password/reset/", {"email": email}, headers=headers)


def test_nobody_signs_up(rf: RequestFactory) -> None:
    assert AccountAdapter().is_open_for_signup(rf.get("/")) is False


def test_a_sign_in_leads_to_the_wanted_page(client: Client, ada: User) -> None:
    assert sign_in(client, "/incidents/INC-1042/?tab=clocks")["Location"] == "/incidents/INC-1042/?tab=clocks"
    assert client.get("/").content == b"ada@example.com"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example.net/",  # even a host that we answer under
        "//evil.example.org",
        "/\\evil.example.org",
        "javascript:alert(1)",
        "https:evil.example.org",
        "http:///evil.example.org",
        "\x08//evil.example.org",
    ],
)
def test_a_sign_in_leads_to_no_other_place(client: Client, ada: User, elsewhere: str) -> None:
    assert sign_in(client, elsewhere)["Location"] == "/"


def test_the_address_is_known_in_any_case(client: Client, ada: User) -> None:
    form = {"login": " ADA@Example.com ", "password": PASSWORD}
    assert client.post("/accounts/login/", form).status_code == 302


def test_a_session_gets_a_new_key_when_somebody_signs_in(client: Client, ada: User) -> None:
    client.session.save()
    before = client.session.session_key
    client.cookies["sessionid"] = before
    sign_in(client, "/")
    assert client.session.session_key != before


def test_the_link_of_a_reset_leads_to_the_configured_host(ada: User) -> None:
    response = ask_for_reset("ada@example.com", host="evil.example.net", x_forwarded_host="evil.example.net")
    assert response.status_code == 302
    message = mail.outbox[0]
    assert message.to == ["ada@example.com"]
    assert message.subject.startswith("Acme Support: ")
    whole = str(message.message())
    assert "evil" not in whole
    assert re.search(r"https://support\.example\.com/accounts/password/reset/key/\S+", str(message.body))


def test_a_reset_looks_the_same_for_known_unknown_and_inactive_addresses(ada: User) -> None:
    User.objects.create_user("gone@example.com", PASSWORD, is_active=False)
    answers = [ask_for_reset(f"{name}@example.com") for name in ("ada", "nobody", "gone")]
    assert {(answer.status_code, answer["Location"], answer.content) for answer in answers} == {
        (302, "/accounts/password/reset/done/", b"")
    }
    assert [message.to for message in mail.outbox] == [
        ["ada@example.com"],
        ["nobody@example.com"],
        ["gone@example.com"],
    ]
    assert ["/reset/key/" in str(message.body) for message in mail.outbox] == [True, False, False]


@pytest.mark.parametrize("address", ["ada@example.com", "nobody@example.com"])
def test_a_mail_server_that_is_away_shows_in_the_log_only(
    ada: User, settings: Any, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.AwayBackend"
    assert ask_for_reset(address).status_code == 302
    assert "could not be sent" in caplog.text


def test_a_reset_takes_the_same_time_for_known_and_unknown_addresses(ada: User) -> None:
    def took(email: str) -> float:
        started = time.perf_counter()
        ask_for_reset(email)
        return time.perf_counter() - started

    took("ada@example.com")  # templates are loaded once
    known, unknown = (median(took(f"{name}@example.com") for _ in range(3)) for name in ("ada", "nobody"))
    assert known == pytest.approx(unknown, rel=0.15)


def test_somebody_inactive_is_refused_like_a_stranger_even_with_the_right_password(db: None) -> None:
    User.objects.create_user("gone@example.com", PASSWORD, is_active=False)
    request = RequestFactory().post("/accounts/login/")
    adapter = AccountAdapter(request)
    for email in ("gone@example.com", "nobody@example.com"):
        assert adapter.authenticate(request, email=email, password=PASSWORD) is None


def test_the_reset_mail_is_in_its_reader_s_language(ada: User) -> None:
    ask_for_reset("ada@example.com", accept_language="en")
    turkish = mail.outbox[0].subject
    ada.language = "en"
    ada.save()
    ask_for_reset("ada@example.com", accept_language="tr")
    assert "Password Reset" in mail.outbox[1].subject
    assert turkish != mail.outbox[1].subject


def test_the_reset_link_works_once_and_for_an_hour(ada: User, settings: Any) -> None:
    assert settings.PASSWORD_RESET_TIMEOUT <= 3600
    ask_for_reset("ada@example.com")
    link = re.search(r"/accounts/password/reset/key/\S+", str(mail.outbox[0].body))
    assert link is not None
    client = Client()
    page = client.get(link.group())["Location"]
    assert link.group().split("-", 1)[1].strip("/") not in page  # the token stays out of the Referer
    client.post(page, {"password1": "another long secret", "password2": "another long secret"})
    ada.refresh_from_db()
    assert ada.check_password("another long secret")
    again = Client()
    location = again.get(link.group()).headers.get("Location", link.group())
    again.post(location, {"password1": "a third long secret", "password2": "a third long secret"})
    ada.refresh_from_db()
    assert ada.check_password("another long secret")


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://evil.example.net/a/b/?c=d", "https://support.example.com/a/b/?c=d"),
        ("/a/", "https://support.example.com/a/"),
    ],
)
def test_any_link_can_be_put_on_our_site(url: str, ours: str) -> None:
    assert on_our_site(url) == ours
