"""Render a mail in its recipient's language and zone."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from portal import endpoint_health
from portal.channels.base import Rendered
from portal.models import Endpoint, Organisation, OutboxMessage, User
from portal.outbox import MessageKind


def language_of(person: User | None, organisation: Organisation | None = None) -> str:
    own = person.language if person else ""
    return own or (organisation.language if organisation else "") or settings.LANGUAGE_CODE


def zone_of(person: User | None, organisation: Organisation | None = None) -> zoneinfo.ZoneInfo:
    own = person.time_zone if person else ""
    name = own or (organisation.time_zone if organisation else "") or settings.TIME_ZONE
    return zoneinfo.ZoneInfo(name)


@contextmanager
def reading_as(person: User | None, organisation: Organisation | None = None) -> Iterator[None]:
    """What is worded inside is worded in the person's language and zone, else the organisation's."""
    with (
        translation.override(language_of(person, organisation)),
        timezone.override(zone_of(person, organisation)),
    ):
        yield


def render_mail(
    kind: str,
    context: Mapping[str, Any],
    *,
    recipient: User | None,
    organisation: Organisation | None = None,
    from_name: str = "",
    reply_to: str = "",
    **more: Any,
) -> Rendered:
    """Render `emails/<kind>.{subject.txt,txt,html}`; the context gains brand, site_url and recipient.

    `more` goes to `Rendered` as it is: url, form, calendar, attached.
    """
    full = {
        "brand": settings.SUPPORT_BRAND,
        "site_url": settings.SITE_URL,
        "recipient": recipient,
        "organisation": organisation,
        **context,
    }
    with reading_as(recipient, organisation):
        return Rendered(
            subject=" ".join(render_to_string(f"emails/{kind}.subject.txt", full).split()),
            text=render_to_string(f"emails/{kind}.txt", full).strip() + "\n",
            html=render_to_string(f"emails/{kind}.html", full),
            from_name=from_name,
            reply_to=reply_to,
            **more,
        )


def render_alarm(message: OutboxMessage) -> Rendered:
    stuck = OutboxMessage.objects.filter(pk=message.facts["message"]).first()
    return render_mail("outbox_alarm", {"stuck": stuck}, recipient=message.person)


OUTBOX_ALARM = MessageKind(
    name="outbox_alarm",
    render=render_alarm,
    why_not=lambda message: "" if message.person.is_agent else "the recipient is not staff any more",
)


def render_endpoint_test(message: OutboxMessage) -> Rendered:
    where = {"name": message.endpoint, "brand": settings.SUPPORT_BRAND}
    return Rendered(
        subject=_("Test of “%(name)s”") % where,
        text=_("%(brand)s can reach this endpoint. Nothing else has happened.") % where + "\n",
        html="",
        url=settings.SITE_URL,
    )


ENDPOINT_TEST = MessageKind(name="endpoint_test", render=render_endpoint_test, why_not=lambda _message: "")


def render_endpoint_disabled(message: OutboxMessage) -> Rendered:
    facts = message.facts
    endpoint = Endpoint.objects.select_related("organisation").get(pk=facts["endpoint"])
    context = {
        "endpoint": endpoint,
        "since": datetime.fromisoformat(facts["since"]) if facts["since"] else None,
        "answer": facts["answer"],
        "link": _page_of(endpoint, message.person),
    }
    return render_mail(
        "endpoint_disabled", context, recipient=message.person, organisation=endpoint.organisation
    )


def _page_of(endpoint: Endpoint, reader: User) -> str:
    """Where the reader looks after the endpoint; "" for a customer's own pager, which staff look after."""
    if endpoint.organisation_id is not None:
        return f"{settings.SITE_URL}/channels/{endpoint.key}/"
    return f"{settings.SITE_URL}/admin/portal/endpoint/{endpoint.pk}/change/" if reader.is_agent else ""


def why_not_endpoint_disabled(message: OutboxMessage) -> str:
    """Only those who look after it by now hear of it."""
    endpoint = Endpoint.objects.filter(pk=message.facts["endpoint"]).first()
    if endpoint is None or endpoint.removed_at is not None:
        return "the endpoint is removed"
    if message.person not in endpoint_health.who_looks_after(endpoint):
        return "the recipient does not look after the endpoint any more"
    return ""


ENDPOINT_DISABLED = MessageKind(
    name="endpoint_disabled", render=render_endpoint_disabled, why_not=why_not_endpoint_disabled
)
