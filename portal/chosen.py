"""Which of several organisations a person wants to look at: a filter of pages that they set in the header.

It decides nothing about rights: a link to something of another organisation of theirs still opens.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from portal.access import person_of
from portal.models import Organisation

KEY = "organisation"
MOST = 100


def chosen_organisation(request: HttpRequest) -> Organisation | None:
    """The organisation that the person looks at; None for all of theirs, which is how it begins."""
    slug = request.session.get(KEY, "")
    user = person_of(request)
    if not slug or user.is_agent:
        return None
    return Organisation.objects.visible_to(user).filter(slug=slug).first()


def looked_at(request: HttpRequest) -> list[Organisation]:
    """The chosen one, else all of the person's; a filter for lists."""
    chosen = chosen_organisation(request)
    return [chosen] if chosen else list(Organisation.objects.visible_to(person_of(request)).order_by("name"))


def to_choose(request: HttpRequest) -> list[Organisation]:
    """What the header offers; nothing where there is no choice."""
    user = person_of(request)
    if user.is_agent:
        return []
    found = list(Organisation.objects.visible_to(user).order_by("name")[:MOST])
    return found if len(found) > 1 else []


@login_required
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the choice for this session and go back; what is not theirs is the choice of all."""
    slug = request.POST.get("organisation", "").replace("\0", "")
    found = Organisation.objects.visible_to(person_of(request)).filter(slug=slug).first()
    request.session[KEY] = found.slug if found else ""
    after = request.POST.get("next", "/")
    is_ours = url_has_allowed_host_and_scheme(
        after, allowed_hosts={request.get_host()}, require_https=settings.SITE_URL.startswith("https")
    )
    return redirect(after if is_ours else "/")
