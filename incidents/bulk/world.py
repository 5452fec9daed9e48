"""Who and what the seeded incidents are about: services, plans, organisations and their people, staff, articles."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random

from django.contrib.auth.hashers import make_password
from django.utils.text import slugify

from incidents.bulk import words
from incidents.defaults import DEFAULT_TARGETS, ensure_defaults, vendor_organisation
from incidents.models import (
    Article,
    ArticleVersion,
    CommunicationPlan,
    Shift,
    SLAPolicy,
    SLAPolicyVersion,
    SLATarget,
    SupportPlan,
)
from portal.calendars import DEFAULT_WEEK, extend_horizon, new_version
from portal.models import (
    BusinessCalendar,
    CalendarVersion,
    Membership,
    Organisation,
    Service,
    ServiceSubscription,
    Team,
    User,
)

SPLIT_WEEK = {day: ["08:30-12:30", "13:15-17:30"] for day in DEFAULT_WEEK}
HOURS = [
    ("Europe/Istanbul", "TR", DEFAULT_WEEK, "tr"),
    ("Europe/Berlin", "DE", SPLIT_WEEK, "en"),
    ("America/New_York", "US", DEFAULT_WEEK, "en"),
    ("Europe/Paris", "FR", DEFAULT_WEEK, "en"),
]
BATCH = 2_000
STAFF_ROLES = ["head_of_support", "administrator", *["duty_manager"] * 4, *["agent"] * 34]


@dataclass(frozen=True)
class Customer:
    """One organisation as the generator of lives needs it: ids only."""

    pk: int
    services: tuple[int, ...]
    writers: tuple[tuple[int, int | None], ...]  # (person, team)
    readers: tuple[int, ...]
    policy_version: int
    calendar_version: int


@dataclass(frozen=True)
class World:
    customers: tuple[Customer, ...]
    weights: tuple[float, ...]  # accumulated: a few organisations report much more than the others
    agents: tuple[int, ...]
    managers: tuple[int, ...]
    article_versions: tuple[int, ...]
    vendor: int


@dataclass(frozen=True)
class Size:
    """How much is asked for. `password` is what every seeded person signs in with; None: nobody can."""

    organisations: int
    people: int
    password: str | None = None


def build(size: Size, random: Random, began: datetime, now: datetime) -> World:
    """Write everything but incidents, agreed at `began` and covered to beyond `now`; returns it."""
    ensure_defaults(now)
    vendor = vendor_organisation(now)
    services = _services()
    calendars = [_calendar(row, began, now) for row in HOURS]
    versions = _policies(began)
    hashed = make_password(size.password)
    agents, managers = _staff(hashed, random, began)
    _rota(agents, managers, now)
    organisations = _organisations(size.organisations, random, began)
    _plans(organisations, versions, calendars, random)
    subscribed = _subscriptions(organisations, services, random)
    people = _people(organisations, size.people, hashed, random, began)
    articles = _articles(agents, random, began)
    return World(
        customers=tuple(
            Customer(org.pk, subscribed[org.pk], *people[org.pk], *_promise(n, versions, calendars))
            for n, org in enumerate(organisations)
        ),
        weights=tuple(accumulate((rank + 8.0) ** -0.75 for rank in range(len(organisations)))),
        agents=agents,
        managers=managers,
        article_versions=articles,
        vendor=vendor.pk,
    )


def _services() -> list[Service]:
    return [
        Service.objects.get_or_create(
            slug=slugify(name),
            defaults={"name": name, "description": text, "position": n, "is_public": n < 9},
        )[0]
        for n, (name, text) in enumerate(words.SERVICES, start=1)
    ]


def _calendar(
    hours: tuple[str, str, dict[str, list[str]], str], began: datetime, now: datetime
) -> CalendarVersion:
    """A calendar whose holidays reach over the whole history."""
    zone, country, week, _language = hours
    calendar, is_new = BusinessCalendar.objects.get_or_create(name=f"History {zone}")
    if is_new:
        new_version(calendar, now=began, by=None, time_zone=zone, country=country, week=week)
    version = calendar.versions.order_by("number")[0]
    extend_horizon(version, now)
    return version


def _policies(began: datetime) -> list[SLAPolicyVersion]:
    """The standard's targets, and a faster set."""
    return [_policy(name, share, began) for name, share in (("History standard", 1.0), ("History fast", 0.5))]


def _policy(name: str, share: float, began: datetime) -> SLAPolicyVersion:
    policy, _ = SLAPolicy.objects.get_or_create(name=name)
    version, is_new = SLAPolicyVersion.objects.get_or_create(
        policy=policy, number=1, defaults={"created_at": began}
    )
    if is_new:
        targets = [{"warn_percents": [50, 80]} | row for row in DEFAULT_TARGETS]
        for row in targets:
            if row["rule"] == "within_minutes":
                row["amount"] = max(10, int(row["amount"] * share))
        SLATarget.objects.bulk_create(SLATarget(version=version, **row) for row in targets)
    return version


def _promise(
    n: int, versions: Sequence[SLAPolicyVersion], calendars: Sequence[CalendarVersion]
) -> tuple[int, int]:
    """The policy version and calendar version of the organisation with this number."""
    return versions[n % len(versions)].pk, calendars[n % len(calendars)].pk


def _organisations(count: int, random: Random, began: datetime) -> list[Organisation]:
    taken = Organisation.objects.count()
    rows = []
    for n in range(count):
        zone, _country, _week, language = HOURS[n % len(HOURS)]
        name = f"{random.choice(words.FIRMS)} {random.choice(words.TRADES)} {taken + n}"
        rows.append(
            Organisation(
                name=name, slug=slugify(ascii_of(name)), time_zone=zone, language=language, created_at=began
            )
        )
    return Organisation.objects.bulk_create(rows, batch_size=BATCH)


def _plans(
    organisations: Sequence[Organisation],
    versions: Sequence[SLAPolicyVersion],
    calendars: Sequence[CalendarVersion],
    random: Random,
) -> None:
    communication = CommunicationPlan.objects.order_by("pk")[0]
    SupportPlan.objects.bulk_create(
        (
            SupportPlan(
                organisation=organisation,
                policy_version=versions[n % len(versions)],
                calendar_id=calendars[n % len(calendars)].calendar_id,
                communication_plan=communication,
                has_bridge=random.random() < 0.2,
            )
            for n, organisation in enumerate(organisations)
        ),
        batch_size=BATCH,
    )


def _subscriptions(
    organisations: Sequence[Organisation], services: Sequence[Service], random: Random
) -> dict[int, tuple[int, ...]]:
    used = {
        organisation.pk: tuple(service.pk for service in random.sample(services, random.randint(3, 8)))
        for organisation in organisations
    }
    ServiceSubscription.objects.bulk_create(
        (
            ServiceSubscription(organisation_id=pk, service_id=service)
            for pk, found in used.items()
            for service in found
        ),
        batch_size=BATCH,
    )
    return used


def _staff(hashed: str, random: Random, began: datetime) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Forty of the vendor's people, or those who are there already; the ids of all, and of the duty managers."""
    found = list(User.objects.filter(email__startswith="history.staff").order_by("pk"))
    if not found:
        found = User.objects.bulk_create(
            User(
                email=f"history.staff{n}@vendor.example",
                name=" ".join(words.person(random)),
                is_staff=True,
                staff_role=role,
                password=hashed,
                date_joined=began,
            )
            for n, role in enumerate(STAFF_ROLES)
        )
    managers = tuple(user.pk for user in found if user.staff_role in ("duty_manager", "head_of_support"))
    return tuple(user.pk for user in found), managers


def _rota(agents: Sequence[int], managers: Sequence[int], now: datetime) -> None:
    """Shifts of a week each, of the last year and the half-year to come, unless there is a rota already."""
    if Shift.objects.exists():
        return
    monday = (now - timedelta(days=now.weekday())).replace(hour=7, minute=0, second=0)
    Shift.objects.bulk_create(
        Shift(
            role=role,
            person_id=people[week % len(people)],
            backup_id=people[(week + 1) % len(people)],
            from_at=monday + timedelta(weeks=week),
            until_at=monday + timedelta(weeks=week + 1),
        )
        for role, people in (("on_call", agents[-20:]), ("duty_manager", managers))
        for week in range(-52, 26)
    )


def _people(
    organisations: Sequence[Organisation], count: int, hashed: str, random: Random, began: datetime
) -> dict[int, tuple[tuple[tuple[int, int | None], ...], tuple[int, ...]]]:
    """(writers with their teams, readers) by organisation. Everybody is in one; the first is its manager."""
    homes = [organisations[n % len(organisations)] for n in range(max(count, len(organisations)))]
    users = User.objects.bulk_create(
        (_person(n, home, hashed, random, began) for n, home in enumerate(homes)), batch_size=BATCH
    )
    teams = Team.objects.bulk_create(
        (Team(organisation=home, name=name) for home in organisations for name in ("Platform", "Ürün")),
        batch_size=BATCH,
    )
    memberships = [
        _membership(
            n,
            user,
            home,
            teams[2 * (n % len(organisations)) + n // len(organisations) % 2],
            len(organisations),
        )
        for n, (user, home) in enumerate(zip(users, homes, strict=True))
    ]
    Membership.objects.bulk_create(memberships, batch_size=BATCH)
    return {home.pk: _by_role(memberships[n :: len(organisations)]) for n, home in enumerate(organisations)}


def _by_role(memberships: Sequence[Membership]) -> tuple[tuple[tuple[int, int | None], ...], tuple[int, ...]]:
    writers = tuple((row.user_id, row.team_id) for row in memberships if row.role != "viewer")
    return writers, tuple(row.user_id for row in memberships)


def _person(n: int, home: Organisation, hashed: str, random: Random, began: datetime) -> User:
    given, family = words.person(random)
    address = slugify(ascii_of(f"{given} {family} {n}")).replace("-", ".")
    return User(
        email=f"{address}@{home.slug}.example",
        name=f"{given} {family}",
        password=hashed,
        date_joined=began,
        hears_all_incidents=n % 10 == 3,
    )


def _membership(n: int, user: User, home: Organisation, team: Team, organisations: int) -> Membership:
    """Of ten people: one manager, two viewers, one who sees their own incidents, one who sees their team's."""
    turn = n // organisations % 10
    role = "manager" if turn == 0 else "viewer" if turn in (5, 8) else "member"
    sees = {4: "own", 7: "team"}.get(turn, "all")
    return Membership(
        user=user,
        organisation=home,
        role=role,
        visibility=sees,
        team=team if turn else None,
        is_p1_contact=turn in (0, 1),
        is_escalation_contact=turn == 0,
    )


def _articles(agents: Sequence[int], random: Random, began: datetime) -> tuple[int, ...]:
    """Sixty published articles, or those that are there already; the ids of their versions."""
    found = list(Article.objects.filter(slug__startswith="history-").order_by("pk"))
    if not found:
        found = Article.objects.bulk_create(Article(slug=f"history-{n}") for n in range(60))
        versions = ArticleVersion.objects.bulk_create(
            ArticleVersion(
                article=article,
                title=words.title(random)[:200],
                text=words.text(random, words.ANSWERS, 4, 9),
                author_id=random.choice(agents),
                written_at=began,
                published_at=began,
            )
            for article in found
        )
        for article, version in zip(found, versions, strict=True):
            article.published_version = version
        Article.objects.bulk_update(found, ["published_version"])
    return tuple(article.published_version_id for article in found if article.published_version_id)


def ascii_of(text: str) -> str:
    """Without accents, ı as i: for addresses and short names."""
    plain = unicodedata.normalize("NFKD", text.replace("ı", "i").replace("ø", "o"))
    return "".join(c for c in plain if c.isascii())
