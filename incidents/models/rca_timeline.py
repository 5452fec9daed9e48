"""The kinds of events of an RCA, each with its payload, and the words that staff give as their reason.

Payloads hold ids and facts; a reason is a row of its own, so that erasure can reach it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents.models.rca import RCA, PreventionAction, RCAPayload, rca_payload
from portal.models.accounts import TypedModelMeta


class RCARemark(models.Model):
    """Why staff returned a text, or moved or dropped an action. Readers see those about an action."""

    rca = models.ForeignKey(RCA, models.PROTECT, related_name="remarks", verbose_name=_("RCA"))
    action = models.ForeignKey(
        PreventionAction,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="remarks",
        verbose_name=_("prevention action"),
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author")
    )
    text = models.TextField(_("text"))
    at = models.DateTimeField(_("at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("remark")
        verbose_name_plural = _("remarks")

    def __str__(self) -> str:
        return f"{self.author} {self.at:%Y-%m-%d %H:%M}"


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCAOwed(RCAPayload):
    kind = "rca_owed"
    clock: str = ""


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCADrafted(RCAPayload):
    kind = "rca_drafted"


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCASaved(RCAPayload):
    """The names of what was changed, not the words."""

    kind = "rca_saved"
    fields: list[str]


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCASubmitted(RCAPayload):
    kind = "rca_submitted"


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCAReturned(RCAPayload):
    kind = "rca_returned"
    remark: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCAApproved(RCAPayload):
    kind = "rca_approved"


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCAVersionPublished(RCAPayload):
    kind = "rca_published"
    is_public = True
    version: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCARevised(RCAPayload):
    """Work on the next version has begun; what is published stays readable."""

    kind = "rca_revised"


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCACommented(RCAPayload):
    """Read by one organisation and by staff, and so not public."""

    kind = "rca_commented"
    comment: int
    organisation: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RCAAccepted(RCAPayload):
    kind = "rca_accepted"
    copy: int
    organisation: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class ActionMoved(RCAPayload):
    kind = "action_moved"
    is_public = True
    action: int
    due_from: str
    due_on: str
    remark: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class ActionStarted(RCAPayload):
    kind = "action_started"
    is_public = True
    action: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class ActionHandedOver(RCAPayload):
    kind = "action_handed_over"
    is_public = True
    action: int
    owner_from: int | None
    owner_to: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class ActionClosed(RCAPayload):
    kind = "action_closed"
    is_public = True
    action: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class ActionDropped(RCAPayload):
    kind = "action_dropped"
    is_public = True
    action: int
    remark: int


@rca_payload
@dataclass(frozen=True, kw_only=True)
class RecurrenceLinked(RCAPayload):
    """The incident may be anybody's: its own reader sees it on its page."""

    kind = "recurrence_linked"
    recurrence: int
    action: int
    incident: int
