"""The erasure of a person: everywhere a pseudonym, while what was promised and kept stays provable.

It runs in steps of which each may run again: first nobody can come in as the person any more, then their
name and addresses are replaced wherever they stand, then what is theirs alone is deleted, and last, in one
transaction, the person's row becomes the pseudonym and the erasure is recorded. Whoever is stopped in the middle
erases once more; whoever was erased already stays as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from portal import audit
from portal.models import Endpoint, Erasure, IdempotentRequest, Membership, OutboxMessage, User
from portal.models.accounts import Role
from portal.privacy import ROOMS, TABLES, Case, Table
from portal.privacy_map import addresses_of
from portal.scrubbing import Names, Scrubber, count, scrub
from portal.verbs import Refused, required

DOMAIN = "erased.invalid"  # RFC 2606: no mail ever leads there
SHORTEST_WORD = 2
ERASED = "its recipient was erased"
Counts = dict[str, int]


def pseudonym(person: User) -> str:
    """What stands where the name stood, in the language of the installation."""
    with translation.override(settings.LANGUAGE_CODE):
        return _("Former user %(number)s") % {"number": person.pk}


def placeholder(person: User) -> str:
    return f"erased-{person.pk}@{DOMAIN}"


def preview(
    person: User, *, by: User, now: datetime, are_files_deleted: bool = False, also: Sequence[str] = ()
) -> Counts:
    """How many rows of which table an erasure would change. Writes nothing. Refused as `erase` is."""
    case = _case(person, now, also, writes=False, are_files_deleted=are_files_deleted)
    _check(case, by)
    counts = {label: count(table, case.scrubber, person) for label, table in TABLES.items()}
    _add(counts, _of_rooms(case))
    _add(counts, {label: table.rows_of(person).count() for label, table in _emptied()})
    return _said(counts)


def erase(
    person: User,
    *,
    by: User,
    reason: str,
    now: datetime,
    are_files_deleted: bool = False,
    also: Sequence[str] = (),
) -> Erasure:
    """Forget a person; returns the record of it, which says how many rows of which table were changed.

    `also` are further words that name them, such as a nickname. `are_files_deleted` deletes the files that they
    attached; else those stay as the organisation's records. Refused for whoever may not, for oneself, a
    superuser, staff with open duties, an organisation's last manager, and while an undecided mail names them.
    """
    known = Erasure.objects.filter(person=person).first()
    if known is not None:
        return known
    reason = required(reason, "reason", _("Say why: who asked for it, and when."))[:200]
    case = _case(person, now, also, writes=True, are_files_deleted=are_files_deleted)
    _check(case, by)
    reason = case.scrubber.clean(reason)
    counts: Counts = {}
    _add(counts, {"sessions.Session": _shut_out(case)})
    for label, table in TABLES.items():
        _add(counts, {label: scrub(table, case.scrubber, person)})
    _add(counts, _of_rooms(case))  # after the texts: a person's mails say what else they are called
    return _finish(case, by, reason, counts)


# --- whether it may be ---


def _check(case: Case, by: User) -> None:
    if reason := refusal(case.person, by=by, now=case.now):
        raise Refused(reason, kind="state")
    for room in ROOMS:
        if reason := room.refusal(case):
            raise Refused(reason, kind="state")


def refusal(person: User, *, by: User, now: datetime) -> str:
    """Why `by` cannot erase the person now, and what to do first; "" if nothing is in the way."""
    if not by.has_staff_role("administrator"):
        raise Refused(_("Only administrators erase people."), kind="permission")
    if person.pk == by.pk:
        return _("You cannot erase yourself. Ask another administrator.")
    if person.is_superuser:
        return _("This person is a superuser. Take that from them first.")
    if organisations := _managed_alone(person):
        names = ", ".join(organisations)
        return _("The only manager of %(names)s. Make somebody else a manager first.") % {"names": names}
    duties = [duty for room in ROOMS for duty in room.duties(person, now)]
    if duties:
        return _("Hand over first: %(duties)s.") % {"duties": "; ".join(duties[:10])}
    return ""


def _managed_alone(person: User) -> list[str]:
    """The organisations that would be left without an active manager."""
    managers = Membership.objects.filter(role=Role.MANAGER, organisation__is_active=True)
    alone = []
    for membership in managers.filter(user=person).select_related("organisation"):
        others = managers.filter(organisation=membership.organisation_id, user__is_active=True)
        if not others.exclude(user=person).exists():
            alone.append(membership.organisation.name)
    return alone


# --- the steps ---


def _case(person: User, now: datetime, also: Sequence[str], *, writes: bool, are_files_deleted: bool) -> Case:
    scrubber = Scrubber(names_of(person, also))
    now = now.replace(microsecond=0)
    return Case(person=person, scrubber=scrubber, now=now, writes=writes, are_files_deleted=are_files_deleted)


def names_of(person: User, also: Sequence[str] = ()) -> Names:
    """Everything that the person is called and reached by here, and in the channels and systems joined to here."""
    called = {person.name, *also}
    called |= {word for room in ROOMS for word in room.words(person)}
    for identity in person.chat_identities.all():
        called |= {identity.external_name, identity.external_id}
    reached = set(addresses_of(person))
    for account in person.socialaccount_set.all():  # type: ignore[attr-defined]
        said = account.extra_data if isinstance(account.extra_data, dict) else {}
        called |= {account.uid, *(str(said.get(claim, "")) for claim in ("name", "preferred_username"))}
        reached.add(str(said.get("email", "")))
    reached |= {word for word in called if "@" in word}
    called = {word.strip() for word in called if "@" not in word}
    return Names(
        names=tuple(sorted(word for word in called if len(word) >= SHORTEST_WORD)),
        addresses=tuple(sorted(word for word in reached if len(word) >= SHORTEST_WORD)),
        name_after=pseudonym(person),
        address_after=placeholder(person),
    )


def _shut_out(case: Case) -> int:
    """Nobody comes in as the person any more, and nothing goes out to them; how many sessions ended."""
    person = case.person
    with transaction.atomic():
        User.objects.filter(pk=person.pk).update(is_active=False)
        person.usersession_set.all().delete()  # type: ignore[attr-defined]
        waiting = OutboxMessage.objects.filter(recipient=person, state__in=["queued", "claimed"])
        waiting.update(state=OutboxMessage.State.DROPPED, state_reason=ERASED, lease=None, lease_until=None)
    ended = [session.pk for session in Session.objects.iterator() if _is_of(session, case)]
    return Session.objects.filter(pk__in=ended).delete()[0]


def _is_of(session: Session, case: Case) -> bool:
    """Whether somebody is signed in by it as the person, or it names them."""
    data = session.get_decoded()
    return str(data.get("_auth_user_id")) == str(case.person.pk) or case.scrubber.finds(data)


def _of_rooms(case: Case) -> Counts:
    counts: Counts = {}
    for room in ROOMS:
        _add(counts, room.erase(case))
    return counts


def _emptied() -> list[tuple[str, Table]]:
    """The tables in which the person's own rows are deleted or emptied."""
    return [(label, table) for label, table in TABLES.items() if table.is_deleted or table.clear]


def _finish(case: Case, by: User, reason: str, counts: Counts) -> Erasure:
    """The last step, all or nothing: what is theirs alone goes, and the row becomes a pseudonym."""
    with transaction.atomic():
        person = User.objects.select_for_update().get(pk=case.person.pk)
        if (known := Erasure.objects.filter(person=person).first()) is not None:
            return known
        for label, table in _emptied():
            _add(counts, {label: _empty(table, person)})
        _add(counts, {"portal.IdempotentRequest": _forget_answers(case)})
        Endpoint.objects.filter(person=person).update(is_active=False, removed_at=case.now)
        _become_pseudonym(person, case.now)
        made = Erasure.objects.create(person=person, by=by, reason=reason, at=case.now, counts=_said(counts))
        audit.record("person_erased", by=by, now=case.now, subject=f"person/{person.pk}", facts=_said(counts))
    case.person.__dict__.update(person.__dict__)
    return made


def _empty(table: Table, person: User) -> int:
    """Delete or empty the person's own rows; how many."""
    rows = table.rows_of(person).order_by()
    if table.is_deleted:
        return rows.delete()[0]
    empty = {name: _nothing(table, name) for name in sorted(table.clear)}
    return table.model._base_manager.filter(pk__in=list(rows.values_list("pk", flat=True))).update(**empty)


def _nothing(table: Table, name: str) -> object:
    """What an empty column holds."""
    column = table.model._meta.get_field(name)
    if getattr(column, "null", False):
        return None
    return column.get_default() if column.get_internal_type() == "JSONField" else ""  # type: ignore[union-attr]


def _forget_answers(case: Case) -> int:
    """Answers of the API to others that name the person, kept for a day for their repetition."""
    rows = IdempotentRequest.objects.values_list("pk", "body").iterator(chunk_size=50)
    found = [pk for pk, body in rows if case.scrubber.finds(bytes(body).decode("utf-8", errors="replace"))]
    return IdempotentRequest.objects.filter(pk__in=found).delete()[0]


def _become_pseudonym(person: User, now: datetime) -> None:
    """On which side they stood stays: it is part of what they did. They can never come in again."""
    person.name, person.email = pseudonym(person), placeholder(person)
    person.set_unusable_password()
    person.is_active = person.is_limited = person.has_daily_summary = person.hears_all_incidents = False
    person.language = person.time_zone = ""
    person.last_login, person.erased_at = None, now
    person.save()


def _add(counts: Counts, more: Counts) -> None:
    for label, number in more.items():
        counts[label] = counts.get(label, 0) + number


def _said(counts: Counts) -> Counts:
    return {label: number for label, number in sorted(counts.items()) if number}
