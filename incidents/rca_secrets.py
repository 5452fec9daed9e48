"""What one organisation must not read in an RCA: others' names, people, services, references; and what staff say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from incidents.models import RCA, Incident
from portal.models import Organisation, Service, User
from portal.redaction import BLACK, Redactor, Secret, candidates

REFERENCE = re.compile(r"\bINC-[1-9]\d{0,17}\b", re.IGNORECASE)


def redactor_for(rca: RCA, organisation: Organisation, texts: Sequence[str]) -> Redactor:
    """What makes the texts readable to the organisation. Made for these texts only: it knows no other name."""
    secrets = [*explicit(rca, organisation), *_names(organisation, texts), *_people(organisation, texts)]
    return Redactor([*secrets, *_services(organisation, texts), *_references(organisation, texts)])


def explicit(rca: RCA, organisation: Organisation) -> list[Secret]:
    """The words that staff redacted, also those of published versions: what is black stays black."""
    rows = list(rca.redactions.order_by("pk").values_list("organisation_id", "words", "instead"))
    for content in rca.versions.values_list("content", flat=True):
        rows += [(row["organisation"], row["words"], row["instead"]) for row in content["redactions"]]
    return [Secret(words, instead) for whose, words, instead in rows if whose in (None, organisation.pk)]


def _occurring(texts: Sequence[str], names: Iterable[str]) -> list[str]:
    return candidates(texts, [name for name in dict.fromkeys(names) if len(name.strip()) > 1])


def _names(organisation: Organisation, texts: Sequence[str]) -> list[Secret]:
    others = Organisation.objects.exclude(pk=organisation.pk).exclude(is_vendor=True)
    found = [name for pair in others.values_list("name", "slug") for name in pair]
    return [Secret(name) for name in _occurring(texts, found)]


def _people(organisation: Organisation, texts: Sequence[str]) -> list[Secret]:
    """People of other organisations, who are neither colleagues of the reader nor staff."""
    own = User.objects.filter(memberships__organisation=organisation)
    others = User.objects.filter(memberships__isnull=False).exclude(pk__in=own.values("pk"))
    rows = list(others.exclude(is_staff=True).values_list("name", "email").distinct())
    known = set(own.values_list("email", flat=True))
    known |= set(User.objects.filter(is_staff=True).values_list("email", flat=True))
    shared = {_domain(email) for email in known}
    names = _occurring(texts, [name for name, _email in rows])
    domains = {_domain(email) for _name, email in rows} - shared
    addresses = _occurring(texts, [*(email for _name, email in rows), *sorted(domains)])
    # A name of one word may be a word of the language: it is one only as it is written.
    return [Secret(name, is_exact=len(name.split()) == 1) for name in names] + [Secret(a) for a in addresses]


def _domain(email: str) -> str:
    return email.rpartition("@")[2]


def _services(organisation: Organisation, texts: Sequence[str]) -> list[Secret]:
    used = Service.objects.filter(subscriptions__organisation=organisation)
    others = Service.objects.exclude(pk__in=used.values("pk")).values_list("name", flat=True)
    return [Secret(name, is_exact=len(name.split()) == 1) for name in _occurring(texts, others)]


def _references(organisation: Organisation, texts: Sequence[str]) -> list[Secret]:
    """Incidents that are not the organisation's own."""
    named = {found.upper() for text in texts for found in REFERENCE.findall(text)}
    own = Incident.objects.filter(organisation=organisation)
    return [Secret(name, BLACK) for name in sorted(named) if not own.by_reference(name).exists()]
