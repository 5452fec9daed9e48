"""What every page needs to know."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from portal import access, chosen, health, second_factor
from portal.access import is_agent, person_of
from portal.models import Organisation


def brand(request: HttpRequest) -> dict[str, Any]:
    """The brand, the present, for staff whether the clockwork is late, and how it stands with the second factor.

    The last two are asked only where they are shown.
    """
    now = timezone.now()
    return {
        "brand": settings.SUPPORT_BRAND,
        "now": now,
        "is_clockwork_late": SimpleLazyObject(lambda: _is_late(request, now)),
        "second_factor": SimpleLazyObject(lambda: _second_factor(request)),
        "organisations_to_choose": SimpleLazyObject(lambda: chosen.to_choose(request)),
        "chosen_organisation": SimpleLazyObject(lambda: chosen.chosen_organisation(request)),
        "reads_reports": SimpleLazyObject(lambda: _reads_reports(request)),
    }


def _reads_reports(request: HttpRequest) -> bool:
    """Whether there is an organisation all of whose incidents the reader sees: reports sum them up."""
    return Organisation.objects.seen_whole_by(access.person_of(request)).exists()


def _is_late(request: HttpRequest, now: datetime) -> bool:
    user = getattr(request, "user", None)  # an error page may be rendered before anybody signed in
    return user is not None and is_agent(user) and health.is_clockwork_late(now)


def _second_factor(request: HttpRequest) -> dict[str, bool]:
    user = person_of(request)
    left = second_factor.codes_left(user)
    return {
        "is_required": second_factor.is_required(user),
        "is_missing": second_factor.is_missing(user),
        "has_few_codes": left is not None and left <= second_factor.FEW_CODES,
    }
