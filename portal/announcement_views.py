"""Announcements in the portal: what is current, what was, and each on a page of its own."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal import announcing, keyset
from portal.access import is_looked_at, person_of
from portal.models import Announcement, AnnouncementReading, User
from portal.models.announcements import AnnouncementQuerySet

PAGE = 25


def published_for(user: User) -> AnnouncementQuerySet:
    """What was published for the person, with `is_read`; for staff what was published at all."""
    read = AnnouncementReading.objects.filter(announcement=OuterRef("pk"), person=user)
    found = Announcement.objects.visible_to(user).published()
    return found.annotate(is_read=Exists(read)).order_by("-is_pinned", "-published_at", "-pk")


@login_required
@require_safe
def announcement_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    found = published_for(person_of(request))
    page = keyset.page_of(request, found, ("-published_at", "-pk"), PAGE)
    pinned = found.none() if page.before else found.filter(is_pinned=True).current(now)
    context = {"page": page, "pinned": pinned, "now": now}
    return render(request, "portal/announcements.html", context)


@login_required
@require_safe
def announcement(request: HttpRequest, pk: int) -> HttpResponse:
    """One announcement. To open it is to have read it."""
    user = person_of(request)
    now = timezone.now()
    found = get_object_or_404(published_for(user), pk=pk)
    if request.method == "GET" and not is_looked_at(request):
        announcing.note_reading(found, user, now)
    is_over = announcing.state_of(found, now) == "expired"
    return render(request, "portal/announcement.html", {"announcement": found, "is_over": is_over})
