"""The kernel's kinds of rows that are kept for a time."""

from __future__ import annotations

from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from portal import retention
from portal.models import ApiToken, AuditOrigin, DeliveryAttempt, IdempotentRequest, Invitation, OutboxMessage
from portal.retention import Kind, delete, empty, register

ENDED = [OutboxMessage.State.SENT, OutboxMessage.State.DROPPED]
TEXTS = {"text": "", "html": "", "headers": {}, "answer": ""}


def declare() -> None:
    """For the kernel's ready()."""
    _messages()
    _traces()
    _keys()
    retention.FOR_EVER += [
        _("Timelines, clocks and their receipts: the promise is proven by them."),
        _("Impacts on services, and monthly reports: figures are counted from them."),
        _("Audit entries and their seals: they hold ids and facts only."),
        _("That and when each message was sent: updates count by it."),
    ]


def _old_texts(before: datetime) -> QuerySet[OutboxMessage]:
    """What has ended; the row stays, with when it was sent and to whom."""
    return OutboxMessage.objects.filter(state__in=ENDED, created_at__lt=before).exclude(text="", html="")


def _messages() -> None:
    register(
        Kind(
            name="outbox_texts",
            label=_("Texts of sent messages"),
            effect=_("The text goes; that it was sent, when and to whom stays."),
            old=_old_texts,
            remove=empty(OutboxMessage, **TEXTS),
            dated="created_at",
            default_days=365,
            least_days=30,
        )
    )
    register(
        Kind(
            name="delivery_attempts",
            label=_("Calls of channels and webhooks"),
            effect=_("The log of each call goes; the message and its outcome stay."),
            old=lambda before: DeliveryAttempt.objects.filter(
                at__lt=before, message__state__in=[*ENDED, OutboxMessage.State.SET_ASIDE]
            ),
            remove=delete(DeliveryAttempt),
            dated="at",
            default_days=90,
            least_days=7,
        )
    )


def _traces() -> None:
    register(
        Kind(
            name="audit_origins",
            label=_("Addresses and browsers in the audit"),
            effect=_("Where an act came from goes; who did what and when stays."),
            old=lambda before: AuditOrigin.objects.filter(entry__at__lt=before),
            remove=delete(AuditOrigin),
            dated="entry__at",
            default_days=365,
            least_days=30,
        )
    )
    register(
        Kind(
            name="sessions",
            label=_("Sign-ins that have ended"),
            effect=_("The session goes, and with it the browser and the address that it came from."),
            old=lambda before: Session.objects.filter(expire_date__lt=before),
            remove=_end_sessions,
            dated="expire_date",
            default_days=1,
        )
    )


def _end_sessions(pks: list[str], now: datetime) -> None:
    UserSession.objects.filter(session_key__in=pks).delete()
    Session.objects.filter(pk__in=pks).delete()


def _keys() -> None:
    register(
        Kind(
            name="invitations",
            label=_("Invitations that are used, withdrawn or expired"),
            effect=_("The invitation goes, and the address that it was sent to."),
            old=lambda before: Invitation.objects.filter(
                Q(accepted_at__lt=before) | Q(withdrawn_at__lt=before) | Q(expires_at__lt=before)
            ),
            remove=delete(Invitation),
            dated="created_at",
            default_days=90,
        )
    )
    register(
        Kind(
            name="idempotent_requests",
            label=_("Answers of the API kept for repetitions"),
            effect=_("A request with the same key counts as a new one."),
            old=lambda before: IdempotentRequest.objects.filter(created_at__lt=before),
            remove=delete(IdempotentRequest),
            dated="created_at",
            default_days=1,
        )
    )
    register(
        Kind(
            name="expired_tokens",
            label=_("Expired API tokens"),
            effect=_("The token's row goes; it opened nothing any more."),
            old=lambda before: ApiToken.objects.filter(expiry__lt=before),
            remove=delete(ApiToken),
            dated="expiry",
            default_days=90,
        )
    )
