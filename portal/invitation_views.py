"""The page behind an invitation's link. An invented link, a used, withdrawn or expired one all look the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.utils import perform_login
from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from portal import invitation_verbs
from portal.access import person_of
from portal.models import Invitation, User
from portal.origin import address_of
from portal.people_forms import JoinForm, attempt
from portal.verbs import Refused

MOST_WRONG = 20  # links from one address that open nothing, within
WINDOW_SECONDS = 600


def tells_nobody(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """The address opens something: no other site reads it from a Referer."""

    @wraps(view)
    def wrapped(request: HttpRequest, token: str) -> HttpResponseBase:
        response = view(request, token)
        response["Referrer-Policy"] = "strict-origin"  # with “no-referrer” browsers send no Origin, either
        return response

    return wrapped


def key_of(request: HttpRequest) -> str:
    return f"wrong-invitations:{address_of(request)}"


def gone(request: HttpRequest) -> HttpResponse:
    """Count it, and say no more than that there is nothing."""
    key = key_of(request)
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        cache.incr(key)
    except ValueError:  # it expired between the two
        cache.set(key, 1, WINDOW_SECONDS)
    return render(request, "portal/people/gone.html", status=404)


def masked(email: str) -> str:
    """Enough to know one's own address by: “a…@acme.example”."""
    name, _at, domain = email.partition("@")
    return f"{name[:1]}…@{domain}"


@tells_nobody
@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Somebody new joins here; who has an account signs in first; anybody else is told that it is not theirs."""
    if (cache.get(key_of(request)) or 0) >= MOST_WRONG:
        answer = render(request, "portal/people/wait.html", status=429)
        answer["Retry-After"] = str(WINDOW_SECONDS)
        return answer
    found = invitation_verbs.find_open(token, timezone.now())
    if found is None:
        return gone(request)
    if request.user.is_authenticated:
        return for_person(request, token, found)
    if User.objects.filter(email__iexact=found.email).exists():
        return show(request, found, "sign_in", token=token)
    return for_newcomer(request, token, found)


def show(request: HttpRequest, found: Invitation, state: str, status: int = 200, **more: Any) -> HttpResponse:
    context = {"invitation": found, "state": state, "masked": masked(found.email)} | more
    return render(request, "portal/people/invitation.html", context, status=status)


def for_person(request: HttpRequest, token: str, found: Invitation) -> HttpResponse:
    user = person_of(request)
    if user.email.lower() != found.email or user.is_agent:
        return show(request, found, "other", 403)
    if request.method != "POST":
        return show(request, found, "accept")
    try:
        invitation_verbs.accept(token, by=user, now=timezone.now(), request=request)
    except Refused:
        return gone(request)
    messages.success(request, _("You belong to %(name)s now.") % {"name": found.organisation})
    return redirect("home")


def for_newcomer(request: HttpRequest, token: str, found: Invitation) -> HttpResponse:
    """A name and a password; then signed in by the stages that every sign-in goes through."""
    form = JoinForm(request.POST or None, email=found.email)
    joined: list[User] = []

    def join() -> None:
        name, password = form.cleaned_data["name"], form.cleaned_data["password"]
        now = timezone.now()
        joined.append(invitation_verbs.join(token, name=name, password=password, now=now, request=request))

    if form.is_valid():
        if attempt(form, join):
            answer: HttpResponse = perform_login(request, joined[0], redirect_url="/", email=found.email)
            return answer
        if invitation_verbs.find_open(token, timezone.now()) is None:
            return gone(request)
    return show(request, found, "join", 400 if form.errors else 200, form=form)
