"""Which conversation a mail belongs to: by its reply token, else by our own Message-IDs; never by a subject."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from incidents.intake.parsed import ParsedMail
from incidents.models import Incident, ReplyAddress
from portal.channels.email import thread_root
from portal.models import OutboxMessage, User

IDS = 50  # of the Message-IDs that a mail names; a hostile one names thousands
_TOKEN = re.compile(r"reply\+([0-9a-f]{32})", re.ASCII)
_ROOT = re.compile(r"<thread\.[0-9a-f]{32}@", re.ASCII)


@dataclass(frozen=True)
class Thread:
    """The incident that a mail answers, and whom the mail of ours went to that it answers."""

    incident: Incident
    recipient: User
    has_token: bool


def reply_addresses(mail: ParsedMail) -> list[str]:
    """The local parts of every address of the mail that means a reply address of ours, valid or not."""
    parts = (address.lower().rpartition("@") for address in mail.recipients)
    ours = (local for local, _, domain in parts if domain == settings.MAIL_DOMAIN.lower())
    return list(dict.fromkeys(local for local in ours if local == "reply" or local.startswith("reply+")))


def find_thread(mail: ParsedMail) -> Thread | None:
    """The conversation of a mail, or None. Whether its sender may speak in it, is not asked here."""
    addresses = reply_addresses(mail)
    return by_token(addresses, mail.from_addresses) if addresses else by_references(mail)


def by_token(local_parts: Sequence[str], senders: Sequence[str]) -> Thread | None:
    """The conversation of a known token; of several, the one that is the sender's own."""
    tokens = [match[1] for part in local_parts if (match := _TOKEN.fullmatch(part))]
    rows = ReplyAddress.objects.filter(token__in=tokens[:IDS]).order_by("pk")
    found = list(rows.select_related("incident__organisation", "recipient"))
    found.sort(key=lambda row: row.recipient.email.lower() not in senders)
    return Thread(found[0].incident, found[0].recipient, True) if found else None


def named_ids(mail: ParsedMail) -> list[str]:
    """The Message-IDs that the mail answers, the nearest first."""
    return list(dict.fromkeys([*mail.in_reply_to, *reversed(mail.references)]))[:IDS]


def by_references(mail: ParsedMail) -> Thread | None:
    """The conversation of a mail of ours that this one names."""
    ids = named_ids(mail)
    rows = OutboxMessage.objects.filter(message_id__in=ids, recipient__isnull=False).exclude(subject_key="")
    known = {row.message_id: row for row in rows.select_related("recipient")}
    named = [known[message_id] for message_id in ids if message_id in known]
    named.sort(key=lambda row: _address(row) not in mail.from_addresses)
    row = named[0] if named else _by_root(mail, ids)
    return thread_of(row) if row else None


def _address(row: OutboxMessage) -> str:
    return row.recipient.email.lower() if row.recipient else ""


def _by_root(mail: ParsedMail, ids: Sequence[str]) -> OutboxMessage | None:
    """A mail of ours to this sender whose thread's root is named: programs drop the nearer ids first."""
    roots = {message_id for message_id in ids if _ROOT.match(message_id)}
    if not roots:
        return None
    sent = OutboxMessage.objects.filter(recipient__email__in=mail.from_addresses).exclude(subject_key="")
    for row in sent.order_by("-pk").select_related("recipient")[:1000]:
        if thread_root(row) in roots:
            return row
    return None


def thread_of(row: OutboxMessage) -> Thread | None:
    """The conversation that a mail of ours belongs to."""
    incident = incident_of(row)
    return Thread(incident, row.recipient, False) if incident and row.recipient else None


def incident_of(row: OutboxMessage) -> Incident | None:
    return Incident.objects.by_reference(row.subject_key).select_related("organisation").first()
