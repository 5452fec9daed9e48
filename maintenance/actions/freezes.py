"""When customers must not be touched: entered by them, or by staff in their name."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from maintenance.actions.consents import review_consents, windows_touched_by
from maintenance.models import Freeze
from portal import access
from portal.models import Organisation, Service, User
from portal.verbs import Refused, required

REASON_LENGTH = 300


def enter_freeze(
    organisation: Organisation,
    *,
    service: Service | None = None,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
) -> Freeze:
    """A time without maintenance, on one service or on all. Windows that are announced for it need consent."""
    now = now.replace(microsecond=0)
    starts_at, ends_at = starts_at.replace(microsecond=0), ends_at.replace(microsecond=0)
    _check_person(organisation, by)
    if ends_at <= starts_at:
        raise Refused(_("The end must come after the start."), field="ends_at")
    if ends_at <= now:
        raise Refused(_("Choose an end in the future."), field="ends_at")
    if service is not None and not Service.objects.used_by(organisation).filter(pk=service.pk).exists():
        raise Refused(_("Choose among the services that the organisation uses."), field="service")
    reason = " ".join(required(reason, "reason", _("Say why; whoever plans maintenance reads it.")).split())
    if len(reason) > REASON_LENGTH:
        raise Refused(_("Shorten the reason to 300 characters."), field="reason")
    with transaction.atomic():
        freeze = Freeze.objects.create(
            organisation=organisation,
            service=service,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=reason,
            entered_by=by,
            entered_at=now,
        )
        _review(freeze, now)
    return freeze


def withdraw_freeze(freeze: Freeze, *, by: User, now: datetime, channel: str) -> Freeze:
    """Take it back. Consents that were asked because of it are not needed any more."""
    now = now.replace(microsecond=0)
    _check_person(freeze.organisation, by)
    with transaction.atomic():
        found = Freeze.objects.select_for_update(of=("self",)).get(pk=freeze.pk)
        if found.withdrawn_at is not None:
            raise Refused(_("It has been withdrawn already."), kind="state")
        found.withdrawn_by, found.withdrawn_at = by, now
        found.save()
        _review(found, now)
    freeze.refresh_from_db()
    return freeze


def _check_person(organisation: Organisation, by: User) -> None:
    if not organisation.is_active:
        raise Refused(_("This organisation is not active any more."), field="organisation")
    if not access.looks_after(by, organisation.pk) and not access.may_write(by, organisation):
        raise Refused(
            _("Viewers can read but not write. Ask a manager of your organisation for the member role."),
            kind="permission",
        )


def _review(freeze: Freeze, now: datetime) -> None:
    for window in windows_touched_by(freeze):
        with suppress(Refused):  # it has started by now
            review_consents(window, now=now)
