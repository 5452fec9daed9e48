"""What is meant for an incident is stored, with its words; of all else that is said in a channel, nothing is.

A dedicated channel is its organisation's own room: people talk there. Only an answer in the thread of one of
their incidents, or words behind the reference of one of them, are meant for us. Of everything else a row
remains that says that a message was ignored (its key is a digest), without its words and its writer. What
names an incident of somebody else is treated as what names none.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from incidents.intake import inbox
from incidents.intake.alarms.reception import in_turn
from incidents.intake.chat.spoken import Spoken, addressed
from incidents.intake.chat.words import first_line, text_of
from incidents.models import InboundMessage, Incident
from portal.models import ChatIdentity, ChatThread, Endpoint

Kind, Outcome = InboundMessage.Kind, InboundMessage.Outcome


def receive(endpoint: Endpoint, spoken: Spoken, now: datetime) -> InboundMessage:
    """Store what somebody wrote, once; the row, also when it was stored before.

    Returns once it is safe; raises the database's own error when it could not be stored.
    """
    incident = None if is_our_own(endpoint, spoken) else incident_of(endpoint, spoken)
    kept = {"outcome": Outcome.IGNORED} if incident is None else _kept(endpoint, spoken, incident)
    with in_turn():
        message, _is_new = inbox.store(
            Kind.CHAT,
            via=endpoint.service,
            endpoint=endpoint,
            received_at=now,
            dedupe_key=dedupe_key(endpoint, spoken.id),
            **kept,
        )
    return message


def dedupe_key(endpoint: Endpoint, spoken_id: str) -> str:
    """One key for one message of one channel: the same id in another channel is another message."""
    return f"chat:{endpoint.pk}:{hashlib.sha256(spoken_id.encode('utf-8', 'replace')).hexdigest()}"


def is_our_own(endpoint: Endpoint, spoken: Spoken) -> bool:
    """Whether we wrote it. Slack marks bots; Mattermost sends what our bot says back as anybody's words.

    Then it is what a thread of ours began with, or it begins as all that we post there does: with a subject
    whose brackets are escaped (`portal.channels`).
    """
    is_ours = endpoint.service == Endpoint.Service.MATTERMOST and spoken.text.startswith("**\\[")
    return is_ours or ChatThread.objects.filter(endpoint=endpoint, thread_id=spoken.id).exists()


def incident_of(endpoint: Endpoint, spoken: Spoken) -> Incident | None:
    """The incident of the channel's own organisation that the words are meant for: by the thread, else by the
    reference that they begin with."""
    theirs = Incident.objects.filter(organisation=endpoint.organisation_id)
    if spoken.thread:
        threads = ChatThread.objects.filter(endpoint=endpoint, thread_id=spoken.thread).order_by("pk")
        for subject in threads.values_list("subject_key", flat=True):
            if found := theirs.by_reference(subject).first():
                return found
    reference, words = addressed(spoken.text)
    return theirs.by_reference(reference).first() if reference and (words or spoken.files) else None


def _kept(endpoint: Endpoint, spoken: Spoken, incident: Incident) -> dict[str, Any]:
    """What the row has of it: who, and the words without the reference of their own incident."""
    reference, words = addressed(spoken.text)
    text = words if reference == incident.reference else spoken.text
    known = ChatIdentity.objects.filter(endpoint=endpoint, external_id=spoken.user).first()
    name = (known and known.external_name) or spoken.user_name or spoken.user
    return {
        "incident": incident,
        "payload": asdict(replace(spoken, text=text)),
        "sender": " ".join(name.split()),
        "subject": first_line(text_of(endpoint, text, spoken.files)),
    }
