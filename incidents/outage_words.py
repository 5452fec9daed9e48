"""One text for many customers: what each of them reads of it, and not a name of another.

A person writes once for an outage. Before an organisation reads it, the names of other organisations, of
their people and mail domains, of services it does not use and of others' incidents are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.models import Incident
from incidents.models.incident import REFERENCE_OFFSET
from portal.mails import language_of
from portal.models import Membership, Organisation, Service, ServiceSubscription

CUSTOMER, COLLEAGUE, SERVICE = (
    gettext_lazy("another customer"),
    gettext_lazy("somebody of another customer"),
    gettext_lazy("another service"),
)
# How companies end their names: what is left of a name without it is their name, too.
LEGAL_FORM = re.compile(
    r"[\s,]+(?:gmbh(?: & co\. kg)?|ag|kg|se|a\.?\s?[şs]\.?|ltd\.?(?: [şs]ti\.?)?|inc\.?|llc|plc|corp\.?|s\.?a\.?|b\.?v\.?)$",
    re.IGNORECASE,
)
CERTAIN_LENGTH = 4  # shorter names are replaced as whole words only
REFERENCES = re.compile(r"INC-(\d{1,18})", re.IGNORECASE | re.ASCII)
SAME_LETTERS = dict.fromkeys("iıIİ", "(?:[iıIİ]\u0307?)")


@dataclass
class Name:
    """Words that belong to some organisations, and what all others read instead."""

    words: str
    instead: Any  # a lazy translation
    owners: set[int] = field(default_factory=set)


def folded(text: str) -> str:
    """The text as names are looked for in it: any case, dotted or dotless, white space of any width."""
    flat = text.replace("İ", "i").replace("I", "i").replace("ı", "i").casefold()
    return " ".join(flat.replace("\u0307", "").split())


class Words:
    """What a person wrote for several organisations, ready to be cut to what each may read."""

    def __init__(self, *texts: str) -> None:
        written = folded("\n".join(texts))
        self.names = [name for name in _names() if folded(name.words) in written]
        self.is_referring = any(REFERENCES.search(text) for text in texts)

    def told(self, text: str, incident: Incident) -> str:
        """The text as the incident's organisation may read it, in its language where something is replaced."""
        organisation = incident.organisation
        with translation.override(language_of(None, organisation)):
            for name in self._longest_first():
                text = _pattern(name.words).sub(partial(_own_or_instead, name, organisation.pk), text)
            return self._with_own_reference(text, incident).replace(KEPT, "")

    def replaced(self, text: str, incident: Incident) -> list[str]:
        """The words of the text that the incident's organisation does not read."""
        found = []
        for name in self._longest_first():
            pattern = _pattern(name.words)
            if pattern.search(text) and incident.organisation_id not in name.owners:
                found.append(name.words)
            text = pattern.sub(KEPT, text)  # so that no shorter name is found within it
        return found

    def _longest_first(self) -> list[Name]:
        return sorted(self.names, key=lambda name: -len(name.words))

    def _with_own_reference(self, text: str, incident: Incident) -> str:
        """The parent's reference reads as the organisation's own, another's as nobody's."""
        if not self.is_referring:
            return text
        numbers = {int(found) - REFERENCE_OFFSET for found in REFERENCES.findall(text)}
        own = set(
            Incident.objects.filter(pk__in=numbers, organisation=incident.organisation_id).values_list(
                "pk", flat=True
            )
        )

        def reference(match: re.Match[str]) -> str:
            number = int(match[1]) - REFERENCE_OFFSET
            if number == incident.parent_id and incident.pk:
                return incident.reference
            return match[0] if number in own else _("another incident")

        return REFERENCES.sub(reference, text)


KEPT = "\ue000"  # stands within an own name, so that no shorter name of another is found in it


def _own_or_instead(name: Name, organisation: int, match: re.Match[str]) -> str:
    return KEPT.join(match[0]) if organisation in name.owners else KEPT.join(str(name.instead))


def _pattern(words: str) -> re.Pattern[str]:
    letters = (
        r"\s+" if letter.isspace() else SAME_LETTERS.get(letter, re.escape(letter))
        for letter in " ".join(words.split())
    )
    body = "".join(letters)
    if len(words) < CERTAIN_LENGTH:
        return re.compile(rf"(?<![^\W_]){body}(?![^\W_])", re.IGNORECASE)
    return re.compile(body, re.IGNORECASE)


def _names() -> Iterator[Name]:
    """Everything that is somebody's: each with all that it belongs to."""
    found: dict[str, Name] = {}

    def add(words: str, instead: Any, owners: Iterable[int]) -> None:
        if words.strip():
            found.setdefault(folded(words), Name(words, instead)).owners.update(owners)

    customers = Organisation.objects.filter(is_vendor=False).values_list("pk", "name", "slug")
    for pk, name, slug in customers:
        for words in {name, LEGAL_FORM.sub("", name), *([slug] if len(slug) >= CERTAIN_LENGTH else [])}:
            add(words, CUSTOMER, [pk])
    people = Membership.objects.filter(organisation__is_vendor=False, user__staff_role="")
    for organisation, name, email in people.values_list("organisation", "user__name", "user__email"):
        add(email, COLLEAGUE, [organisation])
        add(email.rpartition("@")[2], CUSTOMER, [organisation])
        if " " in name.strip():
            add(name, COLLEAGUE, [organisation])
    users: dict[int, set[int]] = {}
    for service, organisation in ServiceSubscription.objects.values_list("service", "organisation"):
        users.setdefault(service, set()).add(organisation)
    for pk, name in Service.objects.filter(is_public=False).values_list("pk", "name"):
        add(name, SERVICE, users.get(pk, ()))
    yield from found.values()


def own_services(parent: Incident, child: Incident) -> list[Service]:
    """The services of the outage that the child's organisation uses, and those that it reported."""
    used = Service.objects.used_by(child.organisation)
    named = parent.services.all() | child.services.all()
    return list(used.filter(pk__in=named.values("pk")).order_by("position", "name"))
