"""The inbox on the staff desk: what came, why it is held, and one click for each decision."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from incidents import actions
from incidents.intake import held, inbox, mail
from incidents.intake.chat import replies
from incidents.intake.chat import words as chat_words
from incidents.intake.parsed import ParsedMail
from incidents.intake.subjects import read_subject
from incidents.models import InboundMessage, Incident, Level
from portal import access, scanning
from portal.access import is_agent, looked_after, person_of
from portal.audit import record
from portal.models import Membership, Organisation, User
from portal.uploads import serve_attachment

logger = logging.getLogger(__name__)

Kind, State = InboundMessage.Kind, InboundMessage.State


def writers(incident: Incident | None = None) -> Any:
    """The active people who may write: for the incident's organisation, or for any."""
    found = Membership.objects.filter(role__in=access.WRITERS, organisation__is_active=True)
    if incident is not None:
        found = found.filter(organisation=incident.organisation_id)
    return User.objects.filter(is_active=True, pk__in=found.values("user")).order_by("name")


class DecisionForm(forms.Form):
    """What a decision takes, filled in with what the mail says."""

    def __init__(self, *args: Any, message: InboundMessage, user: User, **more: Any) -> None:
        super().__init__(*args, **more)
        self.message, self.user = message, user


class IncidentForm(DecisionForm):
    """The incident that a mail belongs to, or a channel's message: then of the channel's organisation."""

    incident = forms.CharField(
        label=gettext_lazy("Incident"), max_length=30, help_text=gettext_lazy("Such as INC-1042.")
    )

    def __init__(self, *args: Any, message: InboundMessage, **more: Any) -> None:
        super().__init__(*args, message=message, **more)
        if message.incident:
            self.fields["incident"].initial = message.incident.reference

    def clean_incident(self) -> Incident:
        seen = Incident.objects.visible_to(self.user)
        found = seen.by_reference(self.cleaned_data["incident"].strip().upper()).first()
        if found is not None and self.message.endpoint is not None:
            is_theirs = found.organisation_id == self.message.endpoint.organisation_id
            found = found if is_theirs else None
        if found is None:
            raise ValidationError(_("There is no such incident."))
        return found


class ReplyForm(IncidentForm):
    """Whose reply it is: by name where the incident is known, by address else."""

    person = forms.EmailField(label=gettext_lazy("Written by (e-mail address)"))

    def __init__(self, *args: Any, message: InboundMessage, **more: Any) -> None:
        super().__init__(*args, message=message, **more)
        self.fields["person"].initial = message.sender
        if message.incident:
            people = writers(message.incident)
            self.fields["person"] = forms.ModelChoiceField(
                people, label=_("Written by"), initial=people.filter(email__iexact=message.sender).first()
            )

    def clean_person(self) -> User:
        given = self.cleaned_data["person"]
        return given if isinstance(given, User) else person_by_address(given, self.user)


class ChatReplyForm(ReplyForm):
    """Whose reply it is, and whether the channel knows them from now on."""

    is_remembered = forms.BooleanField(
        label=gettext_lazy("Remember who this is"),
        required=False,
        help_text=gettext_lazy("What they write in the channel from now on becomes their reply by itself."),
    )

    def __init__(self, *args: Any, message: InboundMessage, **more: Any) -> None:
        super().__init__(*args, message=message, **more)
        known = replies.person_of(replies.endpoint_of(message), chat_words.spoken_of(message).user)
        self.fields["person"].initial = known
        self.order_fields(["incident", "person", "is_remembered"])


def person_by_address(address: str, user: User) -> User:
    found = looked_after(writers(), user).filter(email__iexact=address).first()
    if found is None:
        raise ValidationError(_("Nobody who may write has this address."))
    return found


class OpenForm(DecisionForm):
    """Whose report it is, for which organisation, and how bad."""

    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=gettext_lazy("Organisation"))
    person = forms.EmailField(label=gettext_lazy("Reported by (e-mail address)"))
    level = forms.ChoiceField(label=gettext_lazy("Level"), choices=Level.choices)

    def __init__(self, *args: Any, message: InboundMessage, **more: Any) -> None:
        super().__init__(*args, message=message, **more)
        organisations = Organisation.objects.visible_to(self.user).filter(is_active=True)
        self.fields["organisation"].queryset = organisations  # type: ignore[attr-defined]
        self.fields["organisation"].initial = organisations.filter(
            memberships__user__email__iexact=message.sender
        ).first()
        self.fields["person"].initial = message.sender
        self.fields["level"].initial = read_subject(message.subject).level or mail.DEFAULT_LEVEL

    def clean_person(self) -> User:
        return person_by_address(self.cleaned_data["person"], self.user)


class DiscardForm(DecisionForm):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=1000)


@dataclass(frozen=True)
class Decision:
    """One thing that staff can decide: its words, its form, its function."""

    name: str
    title: Any
    effect: Any
    form: type[DecisionForm]
    decide: Callable[..., Any]


DECISIONS = {
    decision.name: decision
    for decision in (
        Decision(
            "reply",
            gettext_lazy("Add as a reply"),
            gettext_lazy(
                "A public reply of this person, counted from its receipt: it ends waiting, and reopens what is resolved."
            ),
            ReplyForm,
            held.add_reply,
        ),
        Decision(
            "note",
            gettext_lazy("Add as internal note"),
            gettext_lazy("For staff only. It counts for nothing, and no customer hears of it."),
            IncidentForm,
            held.add_note,
        ),
        Decision(
            "open",
            gettext_lazy("Open an incident"),
            gettext_lazy(
                "On behalf of this person; the clocks count from the receipt, and they get a receipt by mail."
            ),
            OpenForm,
            held.open_incident,
        ),
        Decision(
            "discard",
            gettext_lazy("Discard"),
            gettext_lazy("Nothing comes of it and nobody is told. The mail is kept, with your reason."),
            DiscardForm,
            held.discard,
        ),
    )
}


CHAT_DECISIONS = {
    "reply": replace(DECISIONS["reply"], form=ChatReplyForm),
    "note": DECISIONS["note"],
    "discard": replace(
        DECISIONS["discard"],
        effect=gettext_lazy("Nothing comes of it and nobody is told. The message is kept, with your reason."),
    ),
}


def decisions_on(message: InboundMessage) -> dict[str, Decision]:
    return CHAT_DECISIONS if message.kind == Kind.CHAT else DECISIONS


def get_message(request: HttpRequest, pk: int | str) -> InboundMessage:
    """The row for a member of staff; PermissionDenied for anybody else."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    if not str(pk).isdecimal():
        raise Http404
    rows = InboundMessage.objects.select_related(
        "incident__organisation", "decided_by", "about", "source", "endpoint__organisation"
    )
    return get_object_or_404(looked_after(rows, person_of(request)), pk=int(pk))


def content_of(message: InboundMessage) -> ParsedMail | None:
    """The mail, read for showing; None for anything else, and for what cannot be read at all."""
    if message.kind != Kind.MAIL:
        return None
    try:
        return mail.read(message)
    except Exception:  # the page says so and offers the mail as it came: that is what it is for
        logger.exception("inbound message %s cannot be shown", message.pk)
        return None


def message_page(request: HttpRequest, pk: int | str) -> HttpResponse:
    message = get_message(request, pk)
    return render_page(request, message, {}, 200)


def render_page(
    request: HttpRequest, message: InboundMessage, bound: dict[str, DecisionForm], status: int
) -> HttpResponse:
    is_open = message.state == State.HELD and message.kind in held.DECIDED
    offered = decisions_on(message).values() if is_open else []
    decisions = [
        (
            decision,
            bound.get(decision.name)
            or decision.form(message=message, user=person_of(request), auto_id=f"{decision.name}_%s"),
        )
        for decision in offered
    ]
    context = {
        "message": message,
        "content": content_of(message),
        "spoken": chat_words.text_of_row(message) if message.kind == Kind.CHAT and message.payload else "",
        "decisions": decisions,
        "has_raw": bool(message.raw),
    }
    return render(request, "admin/incidents/inbound/page.html", context, status=status)


@require_POST
def decide(request: HttpRequest, pk: int, decision: str) -> HttpResponse:
    message = get_message(request, pk)
    chosen = decisions_on(message).get(decision)
    if chosen is None:
        raise Http404
    form = chosen.form(request.POST, message=message, user=person_of(request), auto_id=f"{decision}_%s")
    if not form.is_valid():
        return render_page(request, message, {decision: form}, 400)
    try:
        chosen.decide(message, by=person_of(request), now=timezone.now(), **form.cleaned_data)
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        message.refresh_from_db()
        if refused.status == 409:
            messages.error(request, refused.reason)
        return render_page(request, message, {decision: form}, refused.status)
    messages.success(request, _("%(verb)s: done.") % {"verb": chosen.title})
    if message.incident and decision != "discard":
        return redirect("admin:incidents_incident_change", message.incident.pk)
    return redirect("admin:incidents_inboundmessage_changelist")


@require_POST
def read_again(request: HttpRequest, pk: int) -> HttpResponse:
    """The second try of what was set aside."""
    message = get_message(request, pk)
    now: datetime = timezone.now()
    if inbox.requeue(message, now=now):
        inbox.process(message.pk, now)
        messages.success(request, _("It was read again."))
    else:
        messages.error(request, _("It is not set aside any more."))
    return redirect("admin:incidents_inboundmessage_change", message.pk)


@require_safe
def raw(request: HttpRequest, pk: int) -> FileResponse | HttpResponse:
    """The mail as it came, as a download that nothing renders. Files and all: the scanner looks at it now."""
    message = get_message(request, pk)
    if not message.raw:
        raise Http404
    try:
        stored = message.raw.open("rb")
    except FileNotFoundError as error:
        raise Http404 from error
    if not is_harmless(stored.file):
        stored.close()
        messages.error(
            request, _("The mail as it came is held: the scanner objects to it, or does not answer.")
        )
        return redirect("admin:incidents_inboundmessage_change", message.pk)
    record(
        "original_read",
        by=person_of(request),
        now=timezone.now(),
        organisation=message.incident.organisation if message.incident else None,
        subject=f"incident/{message.incident.reference}" if message.incident else f"inbound/{message.pk}",
        facts={"mail": message.pk},
        request=request,
    )
    return serve_attachment(stored.file, f"mail-{message.pk}.eml", "message/rfc822")


def is_harmless(file: IO[bytes]) -> bool:
    """Whether the scanner, where there is one, finds nothing in a file just now."""
    if not scanning.is_configured():
        return True
    try:
        return scanning.scan(file).is_clean
    except scanning.Away:
        return False
    finally:
        file.seek(0)
