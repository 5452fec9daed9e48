"""A sign-in's life: how long it lasts, and that it ends when what it was given for is gone.

Each session keeps the rights that its person had when it began: staff role, roles in organisations, factors,
address. When one of these is taken away or changed, the session is over at its next request, whichever door
changed it; what is added to (a further organisation, a second passkey) is taken note of. Django itself ends a
session whose password has changed. A first factor that is set up elsewhere ends it too: it was begun without.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from portal.access import person_of
from portal.middleware import is_for_all
from portal.models import Membership, User
from portal.origin import NO_ADDRESS, address_of, browser_of
from portal.person_facts import FACTORS, facts_of, with_facts

SINCE, SEEN, RIGHTS = "signed_in_at", "seen_at", "rights"
NOTE_EVERY = timedelta(minutes=1)  # how exact “last seen” is: one write a minute, not one a page
# Where a person changes their own factors: that session goes on, the others end.
OWN_CHANGES = {"mfa_activate_totp", "mfa_deactivate_totp", "mfa_add_webauthn", "mfa_remove_webauthn"}


def begin(*, request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Django's `user_logged_in`: note when the session began, and for which rights."""
    now = timezone.now()
    request.session[SINCE] = request.session[SEEN] = int(now.timestamp())
    keep(request, user)


def keep(request: HttpRequest, user: User | None = None) -> None:
    """Let this session go on with the rights as they are now."""
    request.session[RIGHTS] = rights_of(user or with_facts(User.objects.all()).get(pk=person_of(request).pk))


def renew(request: HttpRequest) -> None:
    """Go on under a new key, and let the former one open nothing: somebody has just proved again who they are."""
    former = request.session.session_key
    request.session.cycle_key()
    UserSession.objects.filter(session_key=former).update(session_key=request.session.session_key)


def _last_proof(request: HttpRequest) -> Any:
    """How and when the session's person proved last who they are."""
    return (request.session.get(AUTHENTICATION_METHODS_SESSION_KEY) or [None])[-1]


def end_all(user: User) -> None:
    """End every session of a person at once, whatever they may be given again later."""
    for session in UserSession.objects.filter(user=user):
        session.end()


def sessions_end(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Sign out whoever's session is over; note once a minute that it is in use."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if is_for_all(request) or SESSION_KEY not in request.session:
            return get_response(request)
        now = timezone.now()
        if is_over(request, now):
            logout(request)
            return get_response(request)
        _note_seen(request, now)
        before = _last_proof(request)
        response = get_response(request)
        if SESSION_KEY in request.session and _last_proof(request) != before:
            renew(request)
        match = request.resolver_match
        if request.method == "POST" and match and match.view_name in OWN_CHANGES:
            keep(request)
        return response

    return middleware


def is_over(request: HttpRequest, now: datetime) -> bool:
    """Whether the session's person is gone, its time is up, or its rights are not theirs any more."""
    user, session = request.user, request.session
    if not isinstance(user, User):
        return True
    longest, idle = limits_of(user)
    age, pause = (now.timestamp() - session.get(name, 0) for name in (SINCE, SEEN))
    if age >= longest.total_seconds() or pause >= idle.total_seconds():
        return True
    return not _has_its_rights(request, user)


def limits_of(user: User) -> tuple[timedelta, timedelta]:
    """How long a session of this person lasts at most, and how long without a request."""
    if user.is_agent or user.is_superuser:
        return settings.STAFF_SESSION_LONGEST, settings.STAFF_SESSION_IDLE
    return settings.SESSION_LONGEST, settings.SESSION_IDLE


def rights_of(user: User) -> dict[str, Any]:
    """What a session is given for, as JSON can hold it. Up to three queries."""
    factors = Authenticator.objects.filter(user=user, type__in=FACTORS)
    return _of_the_row(user) | {
        "marks": _marks(user),
        "roles": {str(pk): role for pk, role in _roles(user)},
        "factors": sorted(factors.values_list("pk", flat=True)),
    }


def _has_its_rights(request: HttpRequest, user: User) -> bool:
    """No query while nothing has changed."""
    before = request.session.get(RIGHTS)
    if before is None or any(before[name] != value for name, value in _of_the_row(user).items()):
        return False
    if before["marks"] == _marks(user):
        return True
    today = rights_of(user)
    had, has = set(before["factors"]), set(today["factors"])
    if not had <= has or (has and not had):
        return False
    if any(today["roles"].get(pk) != role for pk, role in before["roles"].items()):
        return False
    request.session[RIGHTS] = today
    return True


def _of_the_row(user: User) -> dict[str, Any]:
    staff = [user.is_staff, user.staff_role, user.is_superuser, user.is_limited]
    return {"staff": staff, "address": user.email}


def _marks(user: User) -> list[int]:
    facts = facts_of(user)
    return [facts["factors_mark"], facts["roles_mark"]]


def _roles(user: User) -> Any:
    return Membership.objects.filter(user=user).values_list("organisation_id", "role")


def _note_seen(request: HttpRequest, now: datetime) -> None:
    """Not for what a page asks for by itself while nobody looks: that would keep a session alive for good."""
    pause = now.timestamp() - request.session[SEEN]
    if pause < NOTE_EVERY.total_seconds() or request.headers.get("HX-Request"):
        return
    request.session[SEEN] = int(now.timestamp())
    UserSession.objects.filter(session_key=request.session.session_key).update(
        last_seen_at=now, ip=address_of(request) or NO_ADDRESS, user_agent=browser_of(request)[:200]
    )
