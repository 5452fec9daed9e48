"""The audit as people read it: filters, sentences and names, newest first, page by page without counting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.audit_words import GROUPS, KINDS, kinds_of_group, public_facts, public_kinds
from portal.models import AuditEntry, AuditQuerySet, Membership, Organisation, User
from portal.timeline import TimelineEvent

PAGE = 50
PEOPLE = ("person", "to")  # facts that name a person by id


@dataclass
class Row:
    """One act in words. `facts` are those that its reader may see."""

    at: datetime
    who: str
    sentence: str
    entry: AuditEntry | None = None
    as_whom: str = ""
    organisation: str = ""
    about: str = ""
    url: str = ""
    group: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    is_internal: bool = False

    @property
    def details(self) -> list[str]:
        """“fields: role, team”: what the facts say, without what the sentence says already."""
        return [
            f"{name}: {_said(value)}" for name, value in self.facts.items() if value not in ("", None, [])
        ]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    return str(value)


# --- filters ---


class FilterForm(forms.Form):
    """What narrows the list. What cannot be (a date that is none) is an error, never “everything”."""

    group = forms.ChoiceField(
        label=gettext_lazy("Kind"), required=False, choices=[("", gettext_lazy("All")), *GROUPS.items()]
    )
    person = forms.ModelChoiceField(
        label=gettext_lazy("Person"),
        required=False,
        queryset=User.objects.none(),
        empty_label=gettext_lazy("All"),
    )
    subject = forms.CharField(label=gettext_lazy("About"), required=False, max_length=120)
    since = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=gettext_lazy("Until"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    before = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)

    def __init__(self, *args: Any, people: models.QuerySet[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].queryset = people  # type: ignore[attr-defined]

    def clean_subject(self) -> str:
        return self.cleaned_data["subject"].replace("\0", "")

    def narrow(self, entries: AuditQuerySet) -> AuditQuerySet:
        """The entries that the valid form asks for, in days of the present zone; newest first."""
        given = self.cleaned_data
        if given["group"]:
            entries = entries.filter(kind__in=kinds_of_group(given["group"]))
        if given["person"]:
            entries = entries.filter(concerns(given["person"]))
        if given["subject"]:
            entries = entries.filter(subject__startswith=given["subject"])
        if given["before"]:
            entries = entries.filter(pk__lt=given["before"])
        return entries.filter(self.period()).order_by("-pk")

    def period(self) -> models.Q:
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        found = models.Q(at__date__gte=since) if since else models.Q()
        return found & models.Q(at__date__lt=until + timedelta(days=1)) if until else found

    def asked(self) -> dict[str, Any]:
        """What narrows it, as facts: ids and days."""
        plain = {
            name: getattr(value, "pk", None) or str(value)
            for name, value in self.cleaned_data.items()
            if value
        }
        return {name: value for name, value in plain.items() if name != "before"}


def concerns(person: User) -> models.Q:
    """What a person did, was looked at as, or had done to them."""
    return models.Q(by=person) | models.Q(on_behalf_of=person) | models.Q(subject=f"person/{person.pk}")


# --- who may read what ---


def entries_of(organisations: Iterable[Organisation]) -> AuditQuerySet:
    """The organisations' own part: kinds that are public, whoever did them."""
    return AuditEntry.objects.filter(organisation__in=organisations, kind__in=public_kinds())


def people_of(organisations: Iterable[Organisation]) -> models.QuerySet[User]:
    rows = Membership.objects.filter(organisation__in=organisations)
    return User.objects.filter(pk__in=rows.values("user")).order_by("name", "pk")


# --- rows ---


def rows_of(entries: Iterable[AuditEntry], *, is_staff: bool) -> list[Row]:
    """The entries in words. Staff see every fact; an organisation sees the declared ones, and no staff's address."""
    found = list(entries)
    names = names_of(found)
    return [row_of(entry, names, is_staff=is_staff) for entry in found]


def row_of(entry: AuditEntry, names: dict[int, str], *, is_staff: bool) -> Row:
    kind = KINDS.get(entry.kind)
    origin = getattr(entry, "origin", None)
    is_theirs = entry.by is None or not entry.by.is_staff
    facts = entry.facts if is_staff else public_facts(entry.kind, entry.facts)
    return Row(
        at=entry.at,
        who=str(entry.by)
        if entry.by
        else _("Nobody who is known")
        if "fail" in entry.kind
        else _("The portal"),
        as_whom=str(entry.on_behalf_of) if entry.on_behalf_of else "",
        sentence=str(kind.sentence) if kind else entry.kind,
        entry=entry,
        organisation=str(entry.organisation or ""),
        about=named(entry.subject, names),
        group=str(GROUPS[kind.group]) if kind else "",
        facts={name: names.get(value, value) if name in PEOPLE else value for name, value in facts.items()},
        address=(origin.address or "") if origin and (is_staff or is_theirs) else "",
        is_internal=kind is None or not kind.is_public,
    )


def person_in(subject: str) -> int | None:
    noun, _slash, key = subject.partition("/")
    return int(key) if noun == "person" and key.isascii() and key.isdecimal() and len(key) < 18 else None


def named(subject: str, names: dict[int, str]) -> str:
    """The subject, a person by name."""
    person = person_in(subject)
    return names.get(person, subject) if person else subject


def names_of(entries: Iterable[AuditEntry]) -> dict[int, str]:
    """Names of the people that subjects and facts name by id: one query."""
    ids = set()
    for entry in entries:
        ids |= {entry.facts.get(name) for name in PEOPLE} | {person_in(entry.subject)}
    known = {pk for pk in ids if isinstance(pk, int)}
    return {person.pk: str(person) for person in User.objects.filter(pk__in=known)} if known else {}


def with_people(entries: AuditQuerySet) -> AuditQuerySet:
    return entries.select_related("by", "on_behalf_of", "organisation", "origin")


def page_of(entries: AuditQuerySet, *, is_staff: bool) -> tuple[list[Row], int | None]:
    """The newest rows, and from where the older ones go on (None: there are none)."""
    found = list(with_people(entries)[: PAGE + 1])
    older = found[PAGE - 1].pk if len(found) > PAGE else None
    return rows_of(found[:PAGE], is_staff=is_staff), older


def in_chunks(entries: AuditQuerySet, *, is_staff: bool, size: int = 500) -> Iterator[list[Row]]:
    """All rows, newest first, in constant memory: each chunk goes on below the last one."""
    before: int | None = None
    while True:
        rest = entries if before is None else entries.filter(pk__lt=before)
        found = list(with_people(rest)[:size])
        if not found:
            return
        before = found[-1].pk
        yield rows_of(found, is_staff=is_staff)


# --- timelines beside it ---


@dataclass(frozen=True)
class TimelineSource:
    """A room's timeline for the staff's search: how its events are found, and how they are said.

    `organisation` is the lookup of whose it is; `rows` makes a row of each event, for a member of the staff.
    """

    model: type[TimelineEvent]
    organisation: str
    rows: Callable[[list[Any], User], list[Row]]
    visible_to: Callable[[User], models.QuerySet[Any]]


SOURCES: list[TimelineSource] = []


def register_timeline(source: TimelineSource) -> None:
    """For `AppConfig.ready()` of a room."""
    if source.model not in {each.model for each in SOURCES}:
        SOURCES.append(source)


def timeline_rows(
    user: User, *, person: User | None, organisation: Organisation | None, period: models.Q, limit: int = PAGE
) -> list[Row]:
    """The newest events of every timeline that `user` may see, narrowed; newest first."""
    found: list[Row] = []
    for source in SOURCES:
        events = source.visible_to(user).filter(period)
        events = events.filter(by=person) if person else events
        events = events.filter(**{source.organisation: organisation}) if organisation else events
        found += source.rows(list(events.select_related("by").order_by("-pk")[:limit]), user)
    return sorted(found, key=lambda row: row.at, reverse=True)[:limit]
