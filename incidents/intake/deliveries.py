"""What mail servers say of our mails: bounced, late, arrived, complained about. The customer hears nothing.

A report is matched by the envelope sender that each of our mails has for itself (VERP), else by the
Message-ID that it quotes.
"""

from __future__ import annotations

from incidents.intake.inbox import Result, State
from incidents.intake.parsed import DeliveryReport, ParsedMail
from incidents.intake.threads import incident_of
from incidents.models import InboundMessage
from incidents.rules import gettext_noop
from portal import outbox
from portal.models import OutboxMessage

Outcome = InboundMessage.Outcome
OUTCOMES = {"bounced": Outcome.BOUNCED, "delayed": Outcome.DELAYED, "delivered": Outcome.DELIVERED}
UNMATCHED = gettext_noop("It reports on a mail that is none of ours.")
COMPLAINT = gettext_noop("Somebody marked a mail of ours as unwanted: ask them what they wish to get.")
NOT_A_REPORT = gettext_noop("It was sent to an address for delivery reports and is none.")


def reported_on(mail: ParsedMail) -> OutboxMessage | None:
    """The mail of ours that this one was sent back for, or None."""
    for address in mail.recipients:
        if address.lower().startswith("bounce+") and (row := outbox.by_bounce_address(address)):
            return row
    named = mail.report.original_message_id if mail.report else ""
    return OutboxMessage.objects.filter(message_id=named).first() if named else None


def take_report(message: InboundMessage, report: DeliveryReport, mail: ParsedMail) -> Result:
    """Note what became of our mail. Only a permanent failure says that its reader was not reached."""
    row = reported_on(mail)
    incident = incident_of(row) if row else None
    if report.kind == "complaint":
        return Result(state=State.HELD, reason=COMPLAINT, incident=incident, about=row)
    outcome = OUTCOMES[report.kind]
    if row is None:
        return Result(outcome=outcome, reason=UNMATCHED)
    words = " ".join(f"{report.status} {report.diagnostic}".split())[:1000]
    if report.kind == "bounced":
        outbox.bounced(row, at=message.received_at, reason=words or "bounced")
    return Result(outcome=outcome, reason=words, incident=incident, about=row)
