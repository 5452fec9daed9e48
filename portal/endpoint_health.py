"""How the other side does: every call is noted, and an endpoint that fails for days is switched off, with a notice.

A customer's webhooks are tried for three days, whatever they answer, for their makers repair them
meanwhile; only 410 Gone ends it at once. Channels and pagers have a day, and other ways beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from portal import queueing
from portal.channels.base import Gone, Sent, one_line
from portal.models import DeliveryAttempt, Endpoint, Membership, OutboxMessage, StaffRole, User

SWITCHED_OFF_AFTER = timedelta(days=3)
ANSWER_LENGTH = 500
STAFF = (StaffRole.DUTY_MANAGER, StaffRole.HEAD_OF_SUPPORT, StaffRole.ADMINISTRATOR)


class Timed:
    """A call that notes when it began and how long it took."""

    def __init__(self, call: Callable[[], Sent]) -> None:
        self.call = call
        self.at = timezone.now()
        self.milliseconds = 0

    def __call__(self) -> Sent:
        self.at, begun = timezone.now(), time.perf_counter()
        try:
            return self.call()
        finally:
            self.milliseconds = int((time.perf_counter() - begun) * 1000)


def note_success(message: OutboxMessage, call: Timed, answer: str) -> None:
    """The endpoint took the message."""
    _note(message, call, answer, is_accepted=True)
    rows = _endpoint_of(message)
    rows.filter(Q(last_success_at=None) | Q(last_success_at__lt=call.at)).update(last_success_at=call.at)
    rows.exclude(failing_since=None).update(failing_since=None)


def note_failure(message: OutboxMessage, call: Timed, error: Exception, now: datetime) -> bool:
    """The endpoint did not take the message; whether it is switched off for that, just now."""
    answer = one_line(str(error), ANSWER_LENGTH)
    _note(message, call, answer, is_accepted=False)
    rows = _endpoint_of(message).filter(is_active=True)
    rows.filter(Q(last_success_at=None) | Q(last_success_at__lte=call.at), failing_since=None).update(
        failing_since=call.at
    )
    endpoint = rows.select_related("organisation", "person").first()
    if endpoint is None or endpoint.failing_since is None:
        return False
    is_gone = isinstance(error, Gone) and endpoint.use == Endpoint.Use.WEBHOOKS
    if not is_gone and now < endpoint.failing_since + SWITCHED_OFF_AFTER:
        return False
    return _switch_off(endpoint, answer, is_gone=is_gone, now=now)


def _endpoint_of(message: OutboxMessage) -> QuerySet[Endpoint]:
    rows = Endpoint.objects.all()
    return rows.filter(pk=message.endpoint.pk) if message.endpoint else rows.none()


def _note(message: OutboxMessage, call: Timed, answer: str, *, is_accepted: bool) -> None:
    DeliveryAttempt.objects.create(
        message=message,
        at=call.at,
        milliseconds=call.milliseconds,
        is_accepted=is_accepted,
        answer=one_line(answer, ANSWER_LENGTH),
    )


def _switch_off(endpoint: Endpoint, answer: str, *, is_gone: bool, now: datetime) -> bool:
    """Once, whoever else sees it fail: with the reason, a line in its history, and a notice to who looks after it."""
    since = endpoint.failing_since
    row = Endpoint.objects.filter(pk=endpoint.pk, is_active=True, failing_since=since)
    reason = _reason(endpoint, answer, is_gone=is_gone)
    # Switched on again it has three days anew, whoever does that and however.
    if not row.update(is_active=False, disabled_at=now, disabled_reason=reason, failing_since=None):
        return False
    changed = Endpoint.objects.get(pk=endpoint.pk)
    Endpoint.history.bulk_history_create(
        [changed], update=True, default_change_reason="switched off by itself"
    )
    facts = {"endpoint": endpoint.pk, "since": since.isoformat() if since else "", "answer": answer}
    for person in who_looks_after(endpoint):
        queueing.enqueue(
            "endpoint_disabled",
            person,
            now=now,
            dedupe_key=f"endpoint_disabled:{endpoint.pk}:{now:%Y%m%dT%H%M%S}:{person.pk}",
            facts=facts,
        )
    return True


def _reason(endpoint: Endpoint, answer: str, *, is_gone: bool) -> str:
    """In the language of the organisation, whose managers read it."""
    language = endpoint.organisation.language if endpoint.organisation else settings.LANGUAGE_CODE
    with translation.override(language):
        if is_gone:
            return _("The receiver says that it is no more: %(answer)s") % {"answer": answer}
        return _("Nothing was accepted for three days. The last answer: %(answer)s") % {"answer": answer}


def who_looks_after(endpoint: Endpoint) -> list[User]:
    """An organisation's managers; the person of a pager; for the team's, duty managers and administrators."""
    if endpoint.organisation_id is not None:
        managers = Membership.objects.filter(
            organisation=endpoint.organisation_id, role=Membership.Role.MANAGER, user__is_active=True
        )
        return list(User.objects.filter(pk__in=managers.values("user")).order_by("pk"))
    if endpoint.person is not None:
        return [endpoint.person] if endpoint.person.is_active else []
    staff = User.objects.filter(is_active=True, is_staff=True, is_limited=False, staff_role__in=STAFF)
    return list(staff.order_by("pk"))
