"""What managers do with their organisation's dedicated channel and webhooks. Each verb is one transaction.

A dedicated channel is part of some support plans; webhooks are part of all. What is secret in an endpoint
(the path of its address, its tokens) goes in here and never comes out again.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from portal import outbox
from portal.access import WRITERS, may_manage
from portal.channels.base import WEBHOOK, one_line
from portal.models import ChatIdentity, Endpoint, Membership, Organisation, OutboxMessage, StaffRole, User
from portal.verbs import Refused, required
from portal.webhook_events import ALL, EVENTS

Use, Service = Endpoint.Use, Endpoint.Service
MOST = 20  # endpoints of one organisation
FOR_CHANNELS = (Service.SLACK, Service.TEAMS, Service.MATTERMOST, Service.WEBHOOK)
WITH_BOT = (Service.SLACK, Service.MATTERMOST)  # they take a token, have threads, and answer
SECRET = ("url", "access_token", "signing_secret")  # written, never shown
FORGETTABLE = ("access_token", "signing_secret")
TOKEN = re.compile(r"[\x21-\x7e]*")  # what a header can carry
TOKENS = re.compile(r"[\x20-\x7e]*")  # Mattermost has one for its webhook, and one for its command


class Invalid(Refused):
    """Inputs are wrong; `errors` says of each field what."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        field, reasons = next(iter(errors.items()))
        super().__init__(reasons[0], field="" if field == NON_FIELD_ERRORS else field)
        self.errors = errors


# --- rules ---


def refusal(organisation: Organisation, user: User) -> str:
    """ "" if `user` looks after the organisation's channels and webhooks, else the translated reason."""
    if user.has_staff_role(StaffRole.HEAD_OF_SUPPORT) or may_manage(user, organisation):
        return ""
    return _("The managers of your organisation look after its channels and webhooks. Ask one of them.")


def has_channel_in_plan(organisation: Organisation) -> bool:
    """Whether the support plan holds a dedicated channel. `support_plan` is the room above's relation to here."""
    found = Organisation.objects.filter(pk=organisation.pk, support_plan__has_dedicated_channel=True)
    return found.exists()


def problems(endpoint: Endpoint) -> dict[str, str]:
    """What the parts of an endpoint do not agree on, by field; beyond what `full_clean` says of each."""
    found: dict[str, str] = {}
    if endpoint.use == Use.WEBHOOKS and not endpoint.events:
        found["events"] = _("Choose at least one event, or everything.")
    for name in FORGETTABLE:
        value = getattr(endpoint, name)
        if value and endpoint.service not in WITH_BOT:
            found[name] = _("Only Slack and Mattermost use this. Leave it empty.")
        elif not (TOKENS if name == "signing_secret" else TOKEN).fullmatch(value):
            found[name] = _("It may hold plain letters, digits and signs only.")
    return found


def writers_of(organisation: Organisation) -> Any:
    """The active people whose words may be taken as the organisation's."""
    rows = Membership.objects.filter(organisation=organisation, role__in=WRITERS)
    return User.objects.filter(is_active=True, pk__in=rows.values("user")).order_by("name", "pk")


def _allow(organisation: Organisation | None, by: User) -> Organisation:
    if organisation is None:
        raise Refused(_("A pager is looked after on the staff desk."), kind="permission")
    reason = refusal(organisation, by)
    if reason:
        raise Refused(reason, kind="permission")
    return organisation


def _check_plan(organisation: Organisation, use: str, by: User) -> None:
    if use == Use.CHANNEL and not by.is_agent and not has_channel_in_plan(organisation):
        raise Refused(
            _("A dedicated channel is not part of your support plan. Ask us, or use webhooks."),
            kind="permission",
        )


def _check_room(organisation: Organisation, use: str) -> None:
    present = Endpoint.objects.filter(organisation=organisation, removed_at=None)
    if use == Use.CHANNEL and present.filter(use=Use.CHANNEL).exists():
        raise Refused(
            _("There is a dedicated channel already. Change that one, or remove it first."), kind="state"
        )
    if present.count() >= MOST:
        raise Refused(
            _("There are %(most)s channels and webhooks already. Remove one first.") % {"most": MOST},
            kind="state",
        )


def _check_events(endpoint: Endpoint, events: Collection[str]) -> list[str]:
    """The filter in its one form: everything, or known names (and those it had) in the registry's order."""
    if endpoint.use != Use.WEBHOOKS:
        return []
    if ALL in events:
        return [ALL]
    known = [*EVENTS, *(name for name in endpoint.events if name not in EVENTS)]
    unknown = sorted(set(events) - set(known))
    if unknown:
        raise Invalid({"events": [_("“%(name)s” is no event.") % {"name": one_line(unknown[0], 60)}]})
    return [name for name in known if name in events]


# --- verbs ---


@transaction.atomic
def create(
    organisation: Organisation,
    *,
    use: str,
    service: str,
    name: str,
    url: str,
    by: User,
    now: datetime,
    events: Collection[str] = (),
    access_token: str = "",
    room_id: str = "",
    signing_secret: str = "",
    hears_maintenance: bool = True,
    hears_announcements: bool = True,
) -> Endpoint:
    """A channel or webhooks of the organisation. Its `secret` is to be shown once."""
    if use not in (Use.CHANNEL, Use.WEBHOOKS):
        raise Refused(_("Choose a dedicated channel or webhooks."), field="use")
    if service not in FOR_CHANNELS:
        raise Refused(_("This service cannot be used for it. Choose another one."), field="service")
    locked = Organisation.objects.select_for_update().get(pk=organisation.pk)
    _allow(locked, by)
    _check_plan(locked, use, by)
    _check_room(locked, use)
    made = Endpoint(organisation=locked, use=use, service=service, url=url.strip(), created_by=by)
    made.created_at = now.replace(microsecond=0)
    made.events = _check_events(made, events)
    _write_words(made, name, room_id, hears_maintenance, hears_announcements)
    made.access_token, made.signing_secret = access_token.strip(), signing_secret.strip()
    _save(made, by)
    return made


@transaction.atomic
def change(
    endpoint: Endpoint,
    *,
    name: str,
    by: User,
    now: datetime,
    url: str = "",
    events: Collection[str] = (),
    access_token: str = "",
    room_id: str = "",
    signing_secret: str = "",
    hears_maintenance: bool = True,
    hears_announcements: bool = True,
    forget: Collection[str] = (),
) -> Endpoint:
    """Change what is given. An empty address or token keeps the one that is set; `forget` names tokens to drop."""
    locked = _locked(endpoint, by)
    before = (locked.url, locked.access_token, locked.room_id)
    locked.events = _check_events(locked, events)
    _write_words(locked, name, room_id, hears_maintenance, hears_announcements)
    for field in FORGETTABLE:
        if field in forget:
            setattr(locked, field, "")
    given = {"url": url, "access_token": access_token, "signing_secret": signing_secret}
    replaced = {field: value.strip() for field, value in given.items() if value.strip()}
    for field, value in replaced.items():
        setattr(locked, field, value)
    _save(locked, by, [*replaced, *forget])
    if before != (locked.url, locked.access_token, locked.room_id):
        locked.threads.all().delete()  # they are threads of the room of before
    return locked


@transaction.atomic
def rotate(endpoint: Endpoint, *, by: User, now: datetime) -> str:
    """A new secret, to be shown once. For a day webhooks are signed by the old one, too."""
    locked = _locked(endpoint, by)
    if locked.service != Service.WEBHOOK:
        raise Refused(_("Only webhooks are signed by a secret of ours."), kind="state")
    secret = locked.rotate(now.replace(microsecond=0))
    _keep(locked, by, ["secret"])
    return secret


@transaction.atomic
def switch_on(endpoint: Endpoint, *, by: User, now: datetime) -> None:
    """Send there again. What failed before is forgiven."""
    locked = _locked(endpoint, by)
    if locked.organisation is not None:
        _check_plan(locked.organisation, locked.use, by)
    if locked.is_active:
        raise Refused(_("It is switched on already."), kind="state")
    locked.is_active = True
    forgive(locked)
    _keep(locked, by)


def forgive(endpoint: Endpoint) -> None:
    """Forget that it failed and was switched off for it. The caller saves the row."""
    endpoint.failing_since = endpoint.disabled_at = None
    endpoint.disabled_reason = ""


@transaction.atomic
def switch_off(endpoint: Endpoint, *, by: User, now: datetime) -> None:
    """Nothing goes there until it is switched on; what waits for it is dropped."""
    locked = _locked(endpoint, by)
    if not locked.is_active:
        raise Refused(_("It is switched off already."), kind="state")
    locked.is_active = False
    _keep(locked, by)


@transaction.atomic
def remove(endpoint: Endpoint, *, by: User, now: datetime) -> None:
    """Gone for its organisation, with its address, its secrets and who is who; staff still read its log."""
    locked = _locked(endpoint, by)
    locked.removed_at, locked.is_active = now.replace(microsecond=0), False
    for field in (*SECRET, "secret", "previous_secret"):
        setattr(locked, field, "")
    locked.previous_secret_until = None
    locked.identities.all().delete()
    _keep(locked, by)


@transaction.atomic
def send_test(endpoint: Endpoint, *, by: User, now: datetime) -> None:
    """Queue a test message; its log shows what became of it. A second one in the same second is the same."""
    locked = _locked(endpoint, by)
    _check_open(locked)
    now = now.replace(microsecond=0)
    outbox.enqueue(
        "endpoint_test",
        None,
        now=now,
        dedupe_key=f"endpoint_test:{now.isoformat()}:endpoint-{locked.pk}",
        channel=WEBHOOK,
        endpoint=locked,
        is_automatic=False,
    )


@transaction.atomic
def replay(message: OutboxMessage, *, by: User, now: datetime) -> None:
    """Send a message of the log again, with the id that it had."""
    if message.endpoint is None:
        raise Refused(_("Only what went to a channel or webhook is sent again from here."), kind="state")
    _check_open(_locked(message.endpoint, by))
    if not outbox.replay(message, now=now.replace(microsecond=0)):
        raise Refused(_("It cannot go again now: wait until it has arrived or failed."), kind="state")


@transaction.atomic
def map_person(
    endpoint: Endpoint, *, external_id: str, external_name: str = "", person: User, by: User, now: datetime
) -> ChatIdentity:
    """Say who somebody in the channel is: what they write there becomes replies of `person`."""
    locked = _locked(endpoint, by)
    if locked.use != Use.CHANNEL or locked.service not in WITH_BOT or locked.organisation is None:
        raise Refused(_("Only from a channel in Slack or Mattermost do answers come back."), kind="state")
    external_id = required(external_id, "external_id", _("Give the person's ID in the channel."))
    if len(external_id) > 120 or not TOKEN.fullmatch(external_id):
        raise Refused(_("An ID is short, and holds no space: such as U02ABCDEF."), field="external_id")
    if not writers_of(locked.organisation).filter(pk=person.pk).exists():
        raise Refused(_("Choose a member or manager of the organisation."), field="person")
    if locked.identities.filter(external_id=external_id).exists():
        raise Refused(_("This ID is somebody's already. Remove that entry first."), field="external_id")
    return locked.identities.create(
        external_id=external_id,
        external_name=one_line(external_name, 150),
        person=person,
        created_at=now.replace(microsecond=0),
        created_by=by,
    )


@transaction.atomic
def unmap_person(endpoint: Endpoint, identity: ChatIdentity, *, by: User, now: datetime) -> None:
    """What they write from now on waits for staff, as a stranger's does."""
    locked = _locked(endpoint, by)
    if identity.endpoint_id != locked.pk:
        raise Refused(_("This entry belongs to another channel."), kind="state")
    identity.delete()


# --- what the verbs share ---


def _locked(endpoint: Endpoint, by: User) -> Endpoint:
    """The row as it is, locked, for somebody who may manage it."""
    locked = (
        Endpoint.objects.select_for_update(of=("self",)).select_related("organisation").get(pk=endpoint.pk)
    )
    _allow(locked.organisation, by)
    if locked.removed_at is not None:
        raise Refused(_("It was removed meanwhile."), kind="state")
    return locked


def _check_open(endpoint: Endpoint) -> None:
    if not endpoint.is_active:
        raise Refused(_("It is switched off. Switch it on first."), kind="state")


def _write_words(
    endpoint: Endpoint, name: str, room_id: str, hears_maintenance: bool, hears_announcements: bool
) -> None:
    endpoint.name, endpoint.room_id = one_line(name, 120), one_line(room_id, 120)
    endpoint.hears_maintenance, endpoint.hears_announcements = hears_maintenance, hears_announcements


def _save(endpoint: Endpoint, by: User, replaced: Collection[str] = ()) -> None:
    """Save what holds together; Invalid with all that does not."""
    errors: dict[str, list[str]] = {field: [reason] for field, reason in problems(endpoint).items()}
    try:
        endpoint.full_clean()
    except ValidationError as error:
        errors = error.message_dict | errors
    if errors:
        raise Invalid(errors)
    _keep(endpoint, by, replaced)


def _keep(endpoint: Endpoint, by: User, replaced: Collection[str] = ()) -> None:
    """Save, and leave in the history who did it and which secret parts are new (their names, not they)."""
    note_replaced(endpoint, replaced)
    endpoint._history_user = by  # type: ignore[attr-defined]
    endpoint.save()


def note_replaced(endpoint: Endpoint, fields: Collection[str]) -> None:
    """Name the secret parts that are new in the row of the history that the next save writes."""
    names = [str(Endpoint._meta.get_field(field).verbose_name) for field in fields]  # type: ignore[union-attr]
    endpoint._change_reason = ", ".join(names)[:100]  # type: ignore[attr-defined]
