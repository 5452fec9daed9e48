"""What erasure does in incidents beyond the map: mails as they came, files, and duties to hand over first.

The words of a person's mail stand in the incident, as the organisation's record, with the author pseudonymised.
The mail as it came (headers, signature, quotes) goes: of the person's own mails, and of others' that name them.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.header import decode_header, make_header
from email.utils import parseaddr

from django.db.models import Q
from django.utils.translation import gettext as _

from incidents.models import RCA, Attachment, BridgeStep, InboundMessage, Incident, PreventionAction, Shift
from incidents.privacy_map import sent_by
from portal import privacy
from portal.models import User
from portal.privacy import Case

State = InboundMessage.State
UNDECIDED = (State.RECEIVED, State.CLAIMED, State.HELD)
GONE = "its sender was erased"


def register() -> None:
    """For the room's ready()."""
    privacy.register(privacy.Room(duties=duties, words=called_in_mails, refusal=refusal, erase=erase))


# --- what is in the way ---


def duties(person: User, now: datetime) -> Iterator[str]:
    """What a member of staff must hand over before they can be forgotten."""
    for incident in Incident.objects.unresolved().filter(assignee=person).order_by("pk"):
        yield _("assigned to %(incident)s") % {"incident": incident.reference}
    for shift in Shift.objects.filter(Q(person=person) | Q(backup=person), until_at__gt=now).order_by(
        "from_at"
    ):
        yield _("on the rota from %(day)s") % {"day": f"{shift.from_at:%Y-%m-%d}"}
    for rca in RCA.objects.filter(Q(author=person) | Q(reviewer=person)).exclude(status="published"):
        yield _("works on the %(rca)s") % {"rca": rca}
    for action in PreventionAction.objects.filter(owner=person, state__in=["open", "in_progress"]):
        yield _("owns prevention action %(number)s of the %(rca)s") % {
            "number": action.number,
            "rca": action.rca,
        }
    for step in BridgeStep.objects.filter(owner=person, done_at=None, bridge__closed_at=None):
        yield _("owns a step on the bridge of %(incident)s") % {"incident": step.bridge.incident.reference}


def refusal(case: Case) -> str:
    """A mail that nobody has decided on yet is needed as it came."""
    undecided = InboundMessage.objects.filter(state__in=UNDECIDED).exclude(sent_by(case.person))
    named = [row.pk for row in undecided.filter(kind="mail").order_by("pk").iterator() if names_in(row, case)]
    if not named:
        return ""
    numbers = ", ".join(f"#{pk}" for pk in named[:10])
    return _("Decide first on what waits in the inbox and names this person: %(numbers)s.") % {
        "numbers": numbers
    }


# --- what else they are called ---


def called_in_mails(person: User) -> Iterable[str]:
    """The names that the person's mails bear beside their address."""
    found = set()
    for row in InboundMessage.objects.filter(sent_by(person), kind="mail").order_by("pk").iterator():
        head = _content(row).split(b"\n\n", 1)[0].split(b"\r\n\r\n", 1)[0]
        for value in email.message_from_bytes(head).get_all("From", []):
            found.add(parseaddr(_decoded(value))[0])
    return {name for name in found if len(name.split()) > 1}


# --- the steps ---


def erase(case: Case) -> dict[str, int]:
    """Mails and files; how many rows lost theirs. Each row is a step of its own, which may run again."""
    counts = {"incidents.InboundMessage": _forget_mails(case)}
    if case.are_files_deleted:
        counts["incidents.Attachment"] = _delete_files(case)
    return counts


def _forget_mails(case: Case) -> int:
    own = set(InboundMessage.objects.filter(sent_by(case.person)).values_list("pk", flat=True))
    rows = InboundMessage.objects.exclude(raw="").filter(kind="mail").order_by("pk")
    count = 0
    for row in rows.iterator(chunk_size=100):
        if row.pk in own or names_in(row, case):
            count += 1
            if case.writes:
                row.raw.delete(save=False)
                InboundMessage.objects.filter(pk=row.pk).update(raw="")
    if case.writes:
        undecided = InboundMessage.objects.filter(pk__in=own).exclude(state__in=[State.DONE, State.REFUSED])
        undecided.update(state=State.DONE, outcome=InboundMessage.Outcome.DISCARDED, state_reason=GONE)
    return count


def _delete_files(case: Case) -> int:
    files = Attachment.objects.filter(uploaded_by=case.person).exclude(file="").order_by("pk")
    count = files.count()
    for attachment in files.iterator() if case.writes else ():
        attachment.file.delete(save=False)
        Attachment.objects.filter(pk=attachment.pk).update(file="")
    return count


# --- a mail as it came ---


def names_in(row: InboundMessage, case: Case) -> bool:
    """Whether the person stands anywhere in a stored mail, however it is encoded."""
    content = _content(row)
    return any(case.scrubber.finds(text) for text in texts_of(content))


def texts_of(content: bytes) -> Iterator[str]:
    """Every text of a mail: the whole as bytes, its decoded headers, and each textual part."""
    yield content.decode("utf-8", errors="replace")
    for part in email.message_from_bytes(content, policy=email.policy.compat32).walk():
        for value in part.values():
            yield _decoded(value)
        if part.get_content_maintype() == "text" and isinstance(body := part.get_payload(decode=True), bytes):
            yield _as_text(body, part.get_content_charset())


def _as_text(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return body.decode("latin-1")


def _decoded(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value))))
    except Exception:  # a header that says nonsense is read as it stands
        return str(value)


def _content(row: InboundMessage) -> bytes:
    try:
        with row.raw.open("rb") as stored:
            return stored.read()
    except (FileNotFoundError, ValueError):
        return b""
