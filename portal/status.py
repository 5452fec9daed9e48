"""The state of each service, derived from `ServiceImpact` and never typed twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from incidents.models import Incident
from incidents.models.incident import REFERENCE, REFERENCE_OFFSET
from maintenance.models import MaintenanceWindow
from maintenance.models.window import REFERENCE as WINDOW_REFERENCE
from maintenance.models.window import RUNNING
from maintenance.models.window import Status as WindowStatus
from portal import service_state, status_mails, uptime
from portal.access import person_of
from portal.models import Organisation, Service, ServiceImpact, ServiceSubscription, StatusSubscription, User
from portal.service_state import Day, State
from portal.uptime import Figures

UPCOMING = timedelta(days=14)
MONTH_DAYS = 30
MOST_BOARDS = 20
MOST_IMPACTS = 200


@dataclass(frozen=True)
class ServiceRow:
    """A service with its state, for lists that show nothing else."""

    service: Service
    state: State


@dataclass(frozen=True)
class Cause:
    """An impact with what caused it. `url` and `title` are empty where the reader may not see that."""

    impact: ServiceImpact
    url: str = ""
    title: str = ""


@dataclass
class Card:
    """One service of one organisation: its state now, its days, and the figures of 30 and 90 of them."""

    service: Service
    state: State
    impacts: list[ServiceImpact]
    now: datetime
    zone: tzinfo
    is_subscribed: bool = False
    causes: list[Cause] = field(default_factory=list)  # of the present state
    history: list[Cause] = field(default_factory=list)  # newest first

    @cached_property
    def days(self) -> list[Day]:
        """Counted only where they are shown: the API tells the state alone."""
        return service_state.days_of(service_state.as_spans(self.impacts), self.now, self.zone)

    @property
    def periods(self) -> list[tuple[int, Figures]]:
        return [(count, figures_of(self.days[-count:])) for count in (MONTH_DAYS, len(self.days))]


@dataclass
class Board:
    """One organisation's services and what is planned for them."""

    organisation: Organisation
    is_member: bool
    cards: list[Card] = field(default_factory=list)
    windows: list[tuple[MaintenanceWindow, list[str]]] = field(default_factory=list)

    @property
    def felt(self) -> list[Card]:
        """The services that do not simply work, the worst first."""
        found = [card for card in self.cards if card.state.impact != uptime.NONE]
        return sorted(found, key=lambda card: badness(card.state), reverse=True)


def figures_of(days: Iterable[Day]) -> Figures:
    return uptime.figures_of(part for day in days for part in day.segments)


# --- what the pages show ---


def service_rows(user: User, now: datetime) -> list[ServiceRow]:
    """Each service of the user's organisations with the worst of its states among them. For customers."""
    organisations = Organisation.objects.visible_to(user)
    found = service_state.impacts_of(organisations, now, now + timedelta(seconds=1))
    states: dict[int, list[State]] = {}
    for (_organisation, service), rows in found.items():
        states.setdefault(service, []).append(service_state.state_at(rows, now))
    working = State(uptime.NONE, False, None)
    return [
        ServiceRow(service, max(states.get(service.pk, [working]), key=badness))
        for service in Service.objects.visible_to(user)
    ]


def badness(state: State) -> tuple[int, bool]:
    return uptime.RANK[state.impact], not state.is_planned


def boards(
    user: User, organisations: list[Organisation], now: datetime, service: Service | None = None
) -> list[Board]:
    """A board for each organisation, with all of its services or one; a fixed number of queries."""
    members = set(user.memberships.values_list("organisation_id", flat=True))
    made = {each.pk: Board(each, each.pk in members) for each in organisations}
    used = ServiceSubscription.objects.filter(organisation__in=organisations, service__is_active=True)
    if service is not None:
        used = used.filter(service=service)
    start = service_state.day_bounds(now, timezone.get_current_timezone())[0]
    rows = service_state.impacts_of(organisations, start, now + timedelta(seconds=1))
    mine = StatusSubscription.objects.filter(person=user)
    subscribed = set(mine.values_list("organisation_id", "service_id"))
    for each in used.select_related("service").order_by("service__position", "service__name"):
        key = (each.organisation_id, each.service_id)
        made[key[0]].cards.append(card(each.service, rows.get(key, []), now, key in subscribed))
    add_windows(user, made, now)
    add_causes(user, [card for board in made.values() for card in board.cards])
    return list(made.values())


def card(service: Service, rows: list[ServiceImpact], now: datetime, is_subscribed: bool) -> Card:
    zone = timezone.get_current_timezone()
    return Card(service, service_state.state_at(rows, now), rows, now, zone, is_subscribed)


def add_windows(user: User, made: dict[int, Board], now: datetime) -> None:
    """Put the maintenance of the next days, and what runs now, on the boards that it concerns."""
    windows = MaintenanceWindow.objects.visible_to(user).filter(
        status__in=[WindowStatus.ANNOUNCED, *RUNNING], starts_at__lt=now + UPCOMING
    )
    windows = windows.prefetch_related("affected__service", "involved").order_by("starts_at", "pk")
    for window in windows:
        for involved in window.involved.all():
            board = made.get(involved.organisation_id)
            touched = touched_services(window, board) if board else []
            if board and touched:
                board.windows.append((window, touched))


def touched_services(window: MaintenanceWindow, board: Board) -> list[str]:
    """The board's services that the window touches, each with its impact in words."""
    own = {card.service.pk for card in board.cards}
    affected = [each for each in window.affected.all() if each.service_id in own]
    return [f"{each.service} ({each.get_impact_display()})" for each in affected]


def add_causes(user: User, cards: list[Card]) -> None:
    """Name what caused each impact, and link it where the reader may see it. Two queries at most."""
    references = {row.source for card in cards for row in card.impacts}
    seen = {
        each.reference: (f"/{room}/{each.reference}/", each.title)
        for room, rows, pattern, offset in (
            ("incidents", Incident.objects.visible_to(user), REFERENCE, REFERENCE_OFFSET),
            ("maintenance", MaintenanceWindow.objects.visible_to(user), WINDOW_REFERENCE, 0),
        )
        for each in rows.filter(pk__in=numbers(references, pattern, offset))
    }
    for card in cards:
        card.causes = [Cause(row, *seen.get(row.source, ("", ""))) for row in card.state.causes]
        newest = card.impacts[: -MOST_IMPACTS - 1 : -1]
        card.history = [Cause(row, *seen.get(row.source, ("", ""))) for row in newest]


def numbers(references: Iterable[str], pattern: re.Pattern[str], offset: int) -> list[int]:
    """The primary keys behind the references of one kind."""
    matches = [pattern.fullmatch(reference) for reference in references]
    return [int(match[1]) - offset for match in matches if match]


def chosen_organisations(request: HttpRequest) -> list[Organisation]:
    """A customer's own; for staff the one that they ask for, else those that feel something now."""
    user = person_of(request)
    visible = Organisation.objects.visible_to(user).order_by("name")
    if not user.is_agent:
        return list(visible)
    if asked := request.GET.get("organisation"):
        return list(visible.filter(slug=asked))
    return list(visible.filter(pk__in=ServiceImpact.objects.open().values("organisation"))[:MOST_BOARDS])


# --- pages ---


@login_required
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Each organisation of the reader apart."""
    now = timezone.now().replace(microsecond=0)
    found = boards(person_of(request), chosen_organisations(request), now)
    context = {"boards": found, "now": now, "asked": request.GET.get("organisation", "")}
    if person_of(request).is_agent:
        seen = Organisation.objects.visible_to(person_of(request))
        context["organisations"] = seen.filter(is_active=True)
    return unless_known(request, "portal/status.html", context, found, now)


@login_required
@require_safe
def service_status(request: HttpRequest, slug: str) -> HttpResponse:
    """One service: its days and what happened on them, for each organisation of the reader that uses it."""
    service = get_object_or_404(Service.objects.visible_to(person_of(request)), slug=slug)
    now = timezone.now().replace(microsecond=0)
    found = boards(person_of(request), chosen_organisations(request), now, service)
    found = [board for board in found if board.cards]
    context = {"service": service, "boards": found, "now": now}
    return unless_known(request, "portal/service_status.html", context, found, now)


def unless_known(
    request: HttpRequest, template: str, context: dict[str, Any], found: list[Board], now: datetime
) -> HttpResponse:
    """The page, or 304 where the browser has it: of this person and this minute, with nothing new in it."""
    tag = quote_etag(digest_of(request, found, now))
    known = get_conditional_response(request, etag=tag)
    response = known or render(request, template, context)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def digest_of(request: HttpRequest, found: list[Board], now: datetime) -> str:
    user = person_of(request)
    facts: list[object] = [
        (user.pk, user.name, user.is_agent, request.get_full_path(), f"{now:%Y-%m-%d %H:%M}"),
        (translation.get_language(), timezone.get_current_timezone_name(), settings.SUPPORT_BRAND),
        (request.COOKIES.get(settings.CSRF_COOKIE_NAME), len(get_messages(request))),
    ]
    for board in found:
        facts.append((board.organisation.name, board.is_member))
        facts += [(window.pk, window.revision, touched) for window, touched in board.windows]
        for card in board.cards:
            facts.append((card.service.name, card.service.description, card.is_subscribed))
            rows = [(row.impact, row.is_planned, row.from_at, row.until_at) for row in card.impacts]
            facts += [rows, [(cause.impact.source, cause.url, cause.title) for cause in card.history]]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def subscription(request: HttpRequest, slug: str) -> HttpResponse:
    """Mail about a service: the page that mails link to, and the one POST that turns it on or off."""
    user = person_of(request)
    service = get_object_or_404(Service.objects.visible_to(user), slug=slug)
    mine = Organisation.objects.filter(is_active=True, memberships__user=user, subscriptions__service=service)
    if request.method != "POST":
        mails = user.status_subscriptions.filter(service=service).values("organisation")
        lists = {"subscribed": mine.filter(pk__in=mails), "others": mine.exclude(pk__in=mails)}
        return render(request, "portal/status_subscription.html", {"service": service} | lists)
    organisation = get_object_or_404(mine, slug=request.POST.get("organisation", ""))
    messages.success(request, set_subscription(request, organisation, service))
    return redirect("service-status", slug)


def set_subscription(request: HttpRequest, organisation: Organisation, service: Service) -> str:
    """Turn the mail on or off as the form says; what has been done, in words."""
    if request.POST.get("wanted") == "yes":
        status_mails.subscribe(person_of(request), organisation, service, now=timezone.now())
        told = _("You get a mail when the state of %(service)s changes for %(organisation)s.")
    else:
        status_mails.unsubscribe(person_of(request), organisation, service)
        told = _("No more mail about the state of %(service)s for %(organisation)s.")
    return told % {"service": service, "organisation": organisation}
