"""A token is printed once, stored hashed, expires, and belongs to an active person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from portal.models import ApiToken, User

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class WhoAmI(APIView):
    def get_exception_handler(self) -> Any:
        return exception_handler  # of the framework: this view stands apart from our API

    def get(self, request: Request) -> Response:
        return Response({"email": request.user.email})


urlpatterns = [path("me", WhoAmI.as_view())]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada@example.com", name="Ada")


def create(*arguments: str) -> str:
    out = StringIO()
    call_command("create_api_token", *arguments, stdout=out)
    return out.getvalue()


def ask(client: Client, token: str) -> Any:
    return client.get("/me", headers={"Authorization": f"Bearer {token}"})


def test_only_the_token_is_printed_and_it_opens_the_api(client: Client, ada: User) -> None:
    printed = create("ada@example.com")
    assert printed == printed.strip() + "\n"
    assert len(printed.split()) == 1
    assert ask(client, printed.strip()).json() == {"email": "ada@example.com"}
    assert ask(client, printed.strip()[:-1] + "x").status_code == 401


def test_a_token_is_stored_hashed(ada: User) -> None:
    printed = create("ADA@Example.com", "--name", "monitoring").strip()
    token = ApiToken.objects.get()
    assert (token.user, token.name, token.scope) == (ada, "monitoring", "write")
    assert printed not in str(ApiToken.objects.values())


def test_a_token_may_be_for_reading_only(ada: User) -> None:
    create("ada@example.com", "--read-only")
    assert ApiToken.objects.get().scope == "read"


@pytest.mark.parametrize(("arguments", "days"), [((), 365), (("--days", "7"), 7)])
def test_a_token_expires(client: Client, ada: User, arguments: tuple[str, ...], days: int) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        token = create("ada@example.com", *arguments).strip()
        assert ApiToken.objects.get().expiry == NOW + timedelta(days=days)
        clock.shift(timedelta(days=days, seconds=-1))
        assert ask(client, token).status_code == 200
        clock.shift(timedelta(seconds=2))
        assert ask(client, token).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody@example.com"], "Nobody here has the e-mail address nobody@example.com"),
        (["gone@example.com"], "gone@example.com is not active"),
        (["ada@example.com", "--days", "0"], "--days must lie between 1 and 3650"),
        (["ada@example.com", "--days", "-5"], "--days must lie between 1 and 3650"),
        (["ada@example.com", "--name", "x" * 101], "at most 100 characters"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(ada: User, arguments: list[str], sentence: str) -> None:
    User.objects.create_user("gone@example.com", is_active=False)
    with pytest.raises(CommandError, match=sentence):
        create(*arguments)
    assert not ApiToken.objects.exists()
