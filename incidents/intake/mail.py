"""What becomes of a mail: a delivery report, a reply, a new incident; or it is held, with a plain reason.

`receive` is the one door of the pipe and of IMAP. Nothing that is not proven reaches a customer, and no
held or unknown sender is ever answered.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageError
from email.header import decode_header, make_header

from django.conf import settings
from django.db import transaction
from django.template.defaultfilters import filesizeformat

from incidents import actions
from incidents.intake import deliveries, inbox, invitation_answers, senders, words
from incidents.intake.inbox import Result, State
from incidents.intake.parse import parse
from incidents.intake.parsed import ParsedMail, Unacceptable
from incidents.intake.senders import Sender
from incidents.intake.subjects import Subject, read_subject
from incidents.intake.threads import Thread, find_thread, named_ids, thread_of
from incidents.models import Channel, InboundMessage, Incident, Status
from incidents.rules import gettext_noop
from portal.models import OutboxMessage, Service

Outcome = InboundMessage.Outcome
DEFAULT_LEVEL = "P2"
OPENINGS_PER_HOUR = 10
QUICK = timedelta(seconds=60)
SOON = timedelta(minutes=10)
REPEATED_WITHIN = timedelta(days=30)

OWN = gettext_noop("It comes from an address of our own: a loop.")
RETURNED = gettext_noop("It is a mail of ours that came back: a loop.")
MONITORING = gettext_noop("A machine of a known sender wrote it: a person decides whether it is an incident.")
THROUGH_A_LIST = gettext_noop("It came through a mailing list: add it if a person wrote it.")
MAYBE_AUTOMATIC = gettext_noop(
    "It came within a minute of our mail and quotes nothing: probably an automatic answer. "
    "Add it as a reply if a person wrote it."
)
REPEATED = gettext_noop("The same words came before in answer to another mail of ours.")
SAME_AGAIN = gettext_noop("The same words came before, and soon after a mail of ours: perhaps a machine's.")
ONLY_A_TAG = gettext_noop("Its subject looks like an answer to an incident, and proves nothing.")
TOO_MANY = gettext_noop("The sender opened more than 10 incidents by mail within an hour.")
EMPTY = gettext_noop("It has neither text nor file.")


# --- in ---


def receive(raw: bytes, *, via: str, received_at: datetime, refused: str = "") -> InboundMessage:
    """Store one mail as it came; the row, also when it was stored before. It is read by `inbox`.

    `received_at` is our own acceptance (the pipe's now, IMAP's INTERNALDATE), never the mail's `Date:`. With
    a reason in `refused` it is kept as refused, and never read.
    Raises Unacceptable for what is refused for ever, and the database's or the disk's own error when it
    could not be stored.
    """
    if not raw.strip():
        raise Unacceptable("the mail is empty")
    if len(raw) > settings.MAIL_MAX_BYTES:
        raise Unacceptable(f"the mail is larger than {filesizeformat(settings.MAIL_MAX_BYTES)}")
    headers, body = split(raw)
    message, _is_new = inbox.store(
        "mail",
        via=via,
        received_at=received_at,
        dedupe_key=dedupe_key(headers, body),
        raw=raw,
        sender=shown(headers.get(b"from", [b""])[0]),
        subject=shown(headers.get(b"subject", [b""])[0]),
        refused=refused,
    )
    return message


WRITTEN = (
    b"from",
    b"date",
    b"subject",
    b"message-id",
)  # by the sender; all else may differ by the way it took
_FOLD = re.compile(rb"\n[ \t]+")


def split(raw: bytes) -> tuple[dict[bytes, list[bytes]], bytes]:
    """The headers by name, unfolded, and the body; with one kind of line ending. Never fails."""
    text = raw.replace(b"\r\n", b"\n").lstrip(b"\n")
    if text.startswith(b"From "):  # an mbox's own line
        text = text.partition(b"\n")[2]
    head, _, body = text.partition(b"\n\n")
    headers: dict[bytes, list[bytes]] = {}
    for line in _FOLD.sub(b" ", head[:1_000_000]).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            headers.setdefault(name.strip().lower(), []).append(b" ".join(value.split()))
    return headers, body


def dedupe_key(headers: dict[bytes, list[bytes]], body: bytes) -> str:
    """One key for one mail, by whatever way and how often it comes."""
    digest = hashlib.sha256()
    for name in WRITTEN:
        digest.update(name + b":" + b"\n".join(headers.get(name, [])) + b"\n")
    digest.update(b"\n" + body.rstrip())
    return f"mail:{digest.hexdigest()}"


def shown(value: bytes) -> str:
    """A header's value as the list of the inbox shows it until the mail is read."""
    text = value[:2000].decode("utf-8", "replace")
    with contextlib.suppress(MessageError, LookupError, ValueError):  # `parse` does better
        text = str(make_header(decode_header(text)))
    return "".join(character if character.isprintable() else " " for character in text).strip()


def read(message: InboundMessage) -> ParsedMail:
    """The stored mail, parsed. Raises what the storage raises, for a later try."""
    with message.raw.open("rb") as stored:
        return parse(stored.read(), authserv_ids=settings.MAIL_AUTHSERV_IDS)


# --- what becomes of it ---


@dataclass
class Case:
    """One mail on its way to a decision."""

    message: InboundMessage
    mail: ParsedMail
    now: datetime
    subject: Subject
    thread: Thread | None
    sender: Sender


def handle(message: InboundMessage, now: datetime, /, *, content: ParsedMail) -> Result:
    """Decide on a read mail, by verbs, in the transaction of its row."""
    _note_facts(message, content)
    if content.report is not None:
        return deliveries.take_report(message, content.report, content)
    loop = _loop(content)
    if loop:
        return Result(state=State.REFUSED, outcome=Outcome.LOOP, reason=loop)
    answered = invitation_answers.take_answer(message, content, now)
    if answered is not None:
        return answered
    thread = find_thread(content)
    case = Case(
        message, content, now, read_subject(content.subject), thread, senders.sender_of(content, thread)
    )
    return _machine(case) or _doubted(case) or _taken(case)


def _note_facts(message: InboundMessage, mail: ParsedMail) -> None:
    """What later mails are compared with, and what the list of the inbox shows."""
    message.sender = (mail.from_addresses[0] if mail.from_addresses else message.sender)[:320]
    message.subject = mail.subject.replace("\0", "")[:300]
    message.payload = {"words": digest_of(mail)}
    message.save(update_fields=["sender", "subject", "payload"])


def digest_of(mail: ParsedMail) -> str:
    """The same for the same words, whatever their spacing; "" for none."""
    text = " ".join(mail.full_text.casefold().split())
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() if text else ""


def _loop(mail: ParsedMail) -> str:
    """Why a mail is one of our own that came round, or ""."""
    if mail.message_id and OutboxMessage.objects.filter(message_id=mail.message_id).exists():
        return RETURNED
    return OWN if any(senders.is_ours(address) for address in mail.from_addresses) else ""


# --- machines ---


def _machine(case: Case) -> Result | None:
    """What no person wrote: kept and never answered, and it counts for nothing."""
    reason = case.mail.automatic or _automatic_by_habit(case)
    if reason:
        return _automatic(case, reason)
    if deliveries.reported_on(case.mail):
        return Result(
            state=State.HELD, reason=deliveries.NOT_A_REPORT, about=deliveries.reported_on(case.mail)
        )
    if not _is_bare(case):
        return None
    is_answer = case.thread is not None or case.subject.is_answer or bool(case.subject.tag)
    if is_answer and _was_told(case, QUICK) and _would_count(case):
        return _held(case, MAYBE_AUTOMATIC)
    return _held(case, SAME_AGAIN) if _is_repeated(case) and _was_told(case, SOON) else None


def _automatic(case: Case, reason: str) -> Result:
    if words.is_through_a_list(reason) and not case.sender.doubt:
        return _held(case, THROUGH_A_LIST)
    about = deliveries.reported_on(case.mail)  # vacation programs answer to the envelope's sender
    thread = case.thread or (thread_of(about) if about else None)
    is_theirs = thread and case.sender.user and senders.may_be_tied(case.sender.user, thread)
    if thread and is_theirs:
        actions.note_automatic_mail(thread.incident, inbound=case.message, now=case.now)
        return Result(outcome=Outcome.AUTOMATIC, reason=reason, incident=thread.incident, about=about)
    if thread is None and not case.sender.doubt and not words.is_answer_of_machine(reason):
        return _held(case, MONITORING)
    return Result(outcome=Outcome.AUTOMATIC, reason=reason, about=about)


def _would_count(case: Case) -> bool:
    """Whether a program's words would do harm: end a pause, reopen, or begin something.

    In an incident that is worked on, an answer with its own token is only words, and a person's are not
    kept waiting for staff.
    """
    thread = case.thread
    if thread is None or not thread.has_token:
        return True
    return thread.incident.status == Status.WAITING_FOR_CUSTOMER or not thread.incident.is_unresolved


def _is_bare(case: Case) -> bool:
    """Neither quotes our mail nor names it: what programs of persons do both of."""
    mail = case.mail
    quotes = " ".join(mail.full_text.split()) != " ".join(mail.text.split())
    return not quotes and not named_ids(mail)


def _was_told(case: Case, within: timedelta) -> bool:
    """Whether a mail of ours went to the sender shortly before: about this incident, else about any."""
    if case.sender.user is None:
        return False
    received = case.message.received_at
    sent = OutboxMessage.objects.filter(
        recipient=case.sender.user, sent_at__gt=received - within, sent_at__lt=received + timedelta(seconds=1)
    )
    if case.thread:
        sent = sent.filter(subject_key=case.thread.incident.reference)
    return sent.exists()


def _automatic_by_habit(case: Case) -> str:
    """A program without any manners gives itself away by saying the same again."""
    return REPEATED if case.thread and _is_bare(case) and _is_repeated(case) else ""


def _is_repeated(case: Case) -> bool:
    digest = digest_of(case.mail)
    same = InboundMessage.objects.filter(
        kind="mail",
        sender=case.message.sender,
        payload__words=digest,
        received_at__gte=case.message.received_at - REPEATED_WITHIN,
    )
    return bool(digest) and same.exclude(pk=case.message.pk).exists()


# --- persons ---


def _doubted(case: Case) -> Result | None:
    """Held: who wrote it is not proven, or they may not, or it is not clear where to."""
    if case.sender.doubt:
        return _held(case, case.sender.doubt)
    if case.thread is None and case.subject.tag:
        return _held(case, ONLY_A_TAG)
    if not words.text_of(case.mail) and not case.mail.files and (case.thread or not case.subject.title):
        return _held(case, EMPTY)
    return None


def _held(case: Case, reason: str) -> Result:
    return inbox.hold(case.message, _tie(case), reason, case.now)


def _tie(case: Case) -> Incident | None:
    if case.thread:
        return case.thread.incident if senders.may_be_tied(case.sender.user, case.thread) else None
    user = case.sender.user
    if user and not case.sender.doubt and case.subject.tag:
        return Incident.objects.visible_to(user).by_reference(case.subject.tag).first()
    return None


def _taken(case: Case) -> Result:
    """A proven person's words, by the verb for them. What the verb refuses is held with the verb's reason."""
    try:
        with transaction.atomic():
            return _reply(case, case.thread) if case.thread else _open(case)
    except actions.Refused as refused:
        return _held(case, refused.reason)


def _reply(case: Case, thread: Thread) -> Result:
    assert case.sender.user is not None
    cycle = thread.incident.cycle
    files = words.usable_files(case.mail)
    actions.reply(
        thread.incident,
        by=case.sender.user,
        now=case.now,
        channel=Channel.MAIL,
        text=words.reply_text(case.mail),
        files=files.taken,
        received_at=case.message.received_at,
        inbound=case.message,
    )
    outcome = Outcome.REOPENED if thread.incident.cycle > cycle else Outcome.REPLIED
    return Result(outcome=outcome, reason=files.left_out, incident=thread.incident)


def _open(case: Case) -> Result:
    user = case.sender.user
    assert user is not None
    organisation, doubt = senders.home_of(user)
    if organisation is None:
        return _held(case, doubt)
    if _opened_lately(case) >= OPENINGS_PER_HOUR:
        return _held(case, TOO_MANY)
    files = words.usable_files(case.mail)
    title, description = words.title_and_description(case.subject.title, case.mail)
    incident = actions.open_incident(
        organisation=organisation,
        reporter=user,
        by=user,
        now=case.now,
        channel=Channel.MAIL,
        title=title,
        description=description,
        claimed_level=case.subject.level or DEFAULT_LEVEL,
        services=words.named_services(case.subject.title, Service.objects.used_by(organisation)),
        files=files.taken,
        received_at=case.message.received_at,
        inbound=case.message,
    )
    return Result(outcome=Outcome.OPENED, reason=files.left_out, incident=incident)


def _opened_lately(case: Case) -> int:
    received = case.message.received_at
    return InboundMessage.objects.filter(
        kind="mail",
        sender=case.message.sender,
        outcome=Outcome.OPENED,
        received_at__gt=received - timedelta(hours=1),
        received_at__lte=received,
    ).count()
