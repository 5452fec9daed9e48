"""What every verb of an RCA shares: lock, rule, fact, messages; one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from incidents import rca_notify, rules
from incidents.models import RCA, Incident, PreventionAction, RCAEvent, RCARemark
from incidents.models.rca import RCAPayload
from portal import access
from portal.models import Organisation, StaffRole, User
from portal.verbs import Refused, required

TEXT_LENGTH = 50_000


def rca_actor(user: User | None, rca: RCA, organisation: Organisation | None = None) -> rules.Actor:
    """What `user` is to the RCA; `organisation` is the one for which a customer acts. None is the clockwork."""
    if user is None:
        return rules.Actor(is_clockwork=True)
    if works_on(user, rca):
        return rules.Actor(
            is_agent=True,
            is_duty_manager=user.has_staff_role(StaffRole.DUTY_MANAGER),
            is_head_of_support=user.has_staff_role(StaffRole.HEAD_OF_SUPPORT),
            is_reviewer=rca.reviewer_id == user.pk,
        )
    is_writer = organisation is not None and access.may_write(user, organisation)
    return rules.Actor(is_writer=is_writer and _may_see_subject(user, rca))


def _may_see_subject(user: User, rca: RCA) -> bool:
    """Whether a customer may see what it is about: the incident, or one of theirs under the common one."""
    if rca.incident_id is None:
        return True
    explained = Incident.objects.filter(Q(pk=rca.incident_id) | Q(parent=rca.incident_id))
    return Incident.objects.visible_to(user).filter(pk__in=explained).exists()


def works_on(user: User, rca: RCA) -> bool:
    """Whether it is this member of the staff's work: of a window or an outage it is that of the unlimited."""
    if rca.incident is None:
        return user.is_unlimited
    return access.looks_after(user, rca.incident.organisation_id)


def may_rca(verb: str, rca: RCA, user: User, organisation: Organisation | None = None) -> str:
    """ "" if `user` may use the verb on the RCA now, else the translated reason."""
    refusal = rules.rca_permission_refusal(verb, rca_actor(user, rca, organisation))
    refusal = refusal or rules.rca_state_refusal(verb, rca.status)
    return _(refusal) if refusal else ""


def writers_of(rca: RCA) -> set[int]:
    """The people who wrote any of the text that stands there now, by id."""
    written = RCAEvent.objects.filter(rca=rca, kind__in=["rca_drafted", "rca_saved"], by__isnull=False)
    people = set(written.values_list("by_id", flat=True))
    return people | ({rca.author_id} if rca.author_id else set())


@dataclass
class RCAAct:
    """A verb at work: the locked RCA, who acts, when and through which door."""

    rca: RCA
    by: User | None
    now: datetime
    channel: str
    events: list[RCAEvent] = field(default_factory=list)

    @property
    def person(self) -> User:
        if self.by is None:
            raise TypeError("this is done by a person")
        return self.by

    def record(self, facts: RCAPayload) -> RCAEvent:
        event = RCAEvent.objects.create(
            rca=self.rca,
            kind=facts.kind,
            by=self.by,
            channel=self.channel,
            at=self.now,
            recorded_at=self.now,
            payload=facts.as_json(),
            is_public=facts.is_public,
        )
        self.events.append(event)
        return event

    def remark(self, text: str, reason: str, action: PreventionAction | None = None) -> RCARemark:
        """The words of a reason as a row; Refused with `reason` when there are none."""
        words = text_of(text, "reason", reason)
        return RCARemark.objects.create(
            rca=self.rca, action=action, author=self.person, text=words, at=self.now
        )


# A word of the customer, or one about an action, must not make the editor's form stale.
QUIET = frozenset({"rca_commented", "rca_accepted", "recurrence_linked"})


@contextmanager
def rca_acting(
    verb: str,
    rca: RCA,
    *,
    by: User | None,
    now: datetime,
    channel: str,
    revision: int | None = None,
    organisation: Organisation | None = None,
) -> Iterator[RCAAct]:
    """Lock the RCA, check rule and revision, then queue messages at the end."""
    now = now.replace(microsecond=0)
    with transaction.atomic():
        locked = RCA.objects.select_for_update(of=("self",)).get(pk=rca.pk)
        _check(verb, locked, by, revision, organisation)
        act = RCAAct(locked, by, now, channel)
        yield act
        if any(event.kind not in QUIET for event in act.events):
            locked.revision += 1
            locked.save()
        rca_notify.announce(locked, act.events, now)
    rca.__dict__.update(locked.__dict__)


def _check(
    verb: str, rca: RCA, by: User | None, revision: int | None, organisation: Organisation | None
) -> None:
    refusal = rules.rca_permission_refusal(verb, rca_actor(by, rca, organisation))
    if refusal:
        raise Refused(_(refusal), kind="permission")
    if revision is not None and revision != rca.revision:
        raise Refused(
            _("Somebody changed the RCA while you were writing. Compare what is new, then send again."),
            kind="stale",
        )
    refusal = rules.rca_state_refusal(verb, rca.status)
    if refusal:
        raise Refused(_(refusal), kind="state")


def text_of(text: str, field_name: str, reason: str) -> str:
    """The stripped text; Refused when nothing is left of it, or it is longer than 50,000 characters."""
    words = required(text, field_name, reason)
    if len(words) > TEXT_LENGTH:
        raise Refused(_("Shorten the text to 50,000 characters."), field=field_name)
    return words
