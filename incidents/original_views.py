"""The whole mail that a text came by: quotes and signature as its writer sent them."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from incidents.intake import mail
from incidents.models import InboundMessage, Incident, Message
from incidents.views import get_incident
from portal.access import person_of
from portal.audit import record


@login_required
@require_safe
def original(request: HttpRequest, reference: str, pk: int) -> HttpResponse:
    """Of a message; 404 for a customer if it is staff's, for their mails may quote what is internal."""
    incident = get_incident(request, reference)
    visible = Message.objects.visible_to(person_of(request)).select_related("inbound")
    message = get_object_or_404(visible, incident=incident, pk=pk, inbound__kind=InboundMessage.Kind.MAIL)
    if message.is_from_staff and not person_of(request).is_agent:
        raise Http404
    assert message.inbound is not None
    return whole_mail(request, incident, message.inbound)


@login_required
@require_safe
def report_original(request: HttpRequest, reference: str) -> HttpResponse:
    """Of the report that opened the incident."""
    incident = get_incident(request, reference)
    opened = incident.events.get(kind="opened")
    inbound = get_object_or_404(InboundMessage, pk=opened.payload.get("inbound"), kind="mail")
    return whole_mail(request, incident, inbound)


def whole_mail(request: HttpRequest, incident: Incident, inbound: InboundMessage) -> HttpResponse:
    if person_of(request).is_agent:
        return redirect("admin:incidents_inboundmessage_change", inbound.pk)
    try:
        content = mail.read(inbound)
    except (FileNotFoundError, ValueError) as error:  # kept no longer: its words stand in the incident
        raise Http404 from error
    record(
        "original_read",
        by=person_of(request),
        now=timezone.now(),
        organisation=incident.organisation,
        subject=f"incident/{incident.reference}",
        facts={"mail": inbound.pk},
        request=request,
    )
    context = {"incident": incident, "inbound": inbound, "content": content}
    return render(request, "incidents/original.html", context)
