"""What the tables of incidents hold of people, and what is done with it (see `portal/privacy.py`)."""

from __future__ import annotations

from django.db.models import Q

from incidents.models import ActionPlan, ActionPlanStep, Attachment, Incident, Message, StatusUpdate
from incidents.search_index import forget_of
from portal.models import User
from portal.privacy import File, plain, table
from portal.privacy_map import addresses_of


def sent_by(person: User) -> Q:
    """Mails from an address of the person, what they wrote in channels, and what became words of theirs."""
    wanted = Q(pk__in=Message.objects.filter(author=person, inbound__isnull=False).values("inbound"))
    for address in addresses_of(person):
        wanted |= Q(kind="mail", sender__iexact=address) | Q(kind="mail", sender__iendswith=f"<{address}>")
    for identity in person.chat_identities.all():
        wanted |= Q(kind="chat", endpoint=identity.endpoint_id, payload__user=identity.external_id)
    return wanted


def declare() -> None:
    """For the room's ready()."""
    _agreements()
    _incidents()
    _words()
    _bridges()
    _intake()
    _rca()
    _knowledge()


def _agreements() -> None:
    plain("incidents.SLAPolicy incidents.SLATarget incidents.CommunicationPlan incidents.CommunicationRule")
    plain("incidents.EscalationStep incidents.SupportPlan incidents.Clock incidents.Escalation")
    table("incidents.SLAPolicyVersion", who="created_by", scrub="note")
    table("incidents.Shift", own="person backup", export="role from_at until_at", who="person backup")
    table("incidents.CannedText", scrub="title text")


def _incidents() -> None:
    plain("incidents.Incident_services")
    table(
        "incidents.Incident",
        own="reporter",
        export="reference organisation title description opened_at closed_at channel claimed_level",
        who="reporter assignee intervention_by",
        scrub="title description cause remedy",
        then=forget_of(Incident, "pk"),
    )
    plain("incidents.SearchRow")  # words of the other tables' texts, made anew whenever one of those changes
    table(
        "incidents.Watcher",
        own="person",
        export="incident.reference added_at",
        who="added_by",
        goes="person",
        deleted=True,
    )
    table("incidents.ReplyAddress", own="recipient", goes="recipient token", deleted=True)
    # Append-only, and ids and facts only.
    table("incidents.IncidentEvent", who="by", plain="kind channel payload")
    table(
        "incidents.CustomerEscalation",
        own="by",
        export="incident.reference",
        who="by duty_manager answered_by",
    )
    table("incidents.MonthlyReport", scrub="content")


def _words() -> None:
    table(
        "incidents.Message",
        own="author",
        export="incident.reference kind text is_public channel received_at",
        who="author",
        scrub="text",
        then=forget_of(Message, "incident"),
    )
    table(
        "incidents.LevelValidation",
        own="by",
        export="incident.reference level_from level_to reason at",
        who="by",
        scrub="reason",
        plain="level_from level_to was_validated",
    )
    table(
        "incidents.Contest",
        own="by",
        export="validation.incident.reference reason at",
        who="by decided_by",
        scrub="reason decision_reason",
    )
    table(
        "incidents.StatusUpdate",
        own="author",
        export="incident.reference summary impact next_steps",
        who="author",
        scrub="summary impact next_steps held_reason",
        then=forget_of(StatusUpdate, "incident"),
    )
    table(
        "incidents.ActionPlan",
        own="author",
        export="incident.reference summary",
        who="author",
        scrub="summary",
        then=forget_of(ActionPlan, "incident"),
    )
    table("incidents.ActionPlanStep", scrub="text owner", then=forget_of(ActionPlanStep, "plan__incident"))
    table(
        "incidents.Attachment",
        own="uploaded_by",
        export="incident.reference name content_type size uploaded_at scan",
        who="uploaded_by",
        scrub="name scan_note",
        files="file",
        plain="content_type",
        then=forget_of(Attachment, "incident"),
        file=File("file", "name", lambda row: isinstance(row, Attachment) and row.is_servable),
    )


def _bridges() -> None:
    table("incidents.Bridge", who="opened_by closed_by", plain="conference_url")
    table(
        "incidents.BridgeSeat",
        own="person",
        export="bridge.incident.reference role from_at until_at",
        who="person given_by",
    )
    table(
        "incidents.BridgePresence",
        own="person",
        export="bridge.incident.reference joined_at left_at",
        who="person",
    )
    table(
        "incidents.BridgeStep",
        own="owner",
        export="text due_at done_at",
        who="owner agreed_by done_by",
        scrub="text",
    )


def _intake() -> None:
    table("incidents.AlarmSource", scrub="name", plain="token_digest token_hint level_rules")
    table("incidents.Alarm", scrub="title description labels", plain="fingerprint")
    # The person's own mails lose sender and content, others' that name the person their content:
    # a step of the room (incidents/erasure.py).
    table(
        "incidents.InboundMessage",
        own=sent_by,
        export="kind via sender subject received_at size outcome",
        who="decided_by",
        clear="sender subject payload state_reason",
        files="raw",
        plain="via dedupe_key",
    )


def _rca() -> None:
    table(
        "incidents.RCA",
        who="author reviewer",
        scrub="summary impact detection root_cause contributing_factors went_well went_badly",
    )
    table("incidents.RCAMoment", scrub="text")
    table("incidents.RCARedaction", scrub="words instead")
    table("incidents.PreventionAction", who="owner closed_by", scrub="text evidence")
    table("incidents.RCAVersion", who="author reviewer published_by", scrub="note content")
    table(
        "incidents.RCACopy",
        own="accepted_by",
        export="version accepted_at",
        who="accepted_by",
        scrub="content",
    )
    table("incidents.RCAComment", own="author", export="rca text at", who="author", scrub="text")
    table("incidents.RCARemark", own="author", export="rca text", who="author", scrub="text")
    table("incidents.Recurrence", who="linked_by")
    table("incidents.RCAEvent", who="by", plain="kind channel payload")


def _knowledge() -> None:
    table("incidents.Article", plain="slug")
    table(
        "incidents.ArticleVersion",
        own="author",
        export="title text written_at",
        who="author",
        scrub="title text",
    )
    table("incidents.Release", scrub="version")
    table("incidents.DocumentedSolution", who="by")
