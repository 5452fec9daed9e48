"""The kinds of rows in incidents that are kept for a time. Rows, clocks and figures stay, whatever goes.

Of a closed incident the texts and the files may go; its timeline, its clocks, its levels, services and
times are what reports and proofs are made of, and go never.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from incidents import search_index
from incidents.models import (
    ActionPlan,
    ActionPlanStep,
    Article,
    ArticleVersion,
    Attachment,
    BridgeStep,
    Contest,
    InboundMessage,
    Incident,
    LevelValidation,
    Message,
    StatusUpdate,
)
from portal import retention
from portal.retention import Kind, delete, register

State, Outcome = InboundMessage.State, InboundMessage.Outcome
REMOVED = "—"  # stands where a text stood
OVER = [State.DONE, State.REFUSED]


def declare() -> None:
    """For the room's ready()."""
    _incidents()
    _inbox()
    register(
        Kind(
            name="knowledge_drafts",
            label=_("Drafts of articles that were never published"),
            effect=_("The draft goes; the published text stays, and so does the newest draft."),
            old=_old_drafts,
            remove=delete(ArticleVersion),
            dated="written_at",
        )
    )
    retention.FOR_EVER.append(_("RCAs as they were published, with their prevention actions."))


# --- closed incidents ---


def _closed(before: datetime) -> QuerySet[Incident]:
    """Closed for good: also whatever is known of them elsewhere has been said."""
    return Incident.objects.filter(status=Incident.Status.CLOSED, closed_at__lt=before)


def _incidents() -> None:
    register(
        Kind(
            name="incident_texts",
            label=_("Texts of closed incidents"),
            effect=_("Title, description, messages and updates go; the incident, its times and clocks stay."),
            old=lambda before: _closed(before).exclude(title=REMOVED),
            remove=_remove_texts,
            dated="closed_at",
            least_days=90,
        )
    )
    register(
        Kind(
            name="incident_files",
            label=_("Files of closed incidents"),
            effect=_("The file goes; its name, size and sender stay."),
            old=lambda before: Attachment.objects.exclude(file="").filter(incident__in=_closed(before)),
            remove=_remove_files,
            dated="uploaded_at",
            least_days=30,
        )
    )


def _remove_texts(pks: list[int], now: datetime) -> None:
    closed = Incident.objects.select_for_update(of=("self",)).filter(
        pk__in=pks, status=Incident.Status.CLOSED
    )
    pks = list(closed.order_by("pk").values_list("pk", flat=True))
    BridgeStep.objects.filter(bridge__incident__in=pks).update(text=REMOVED)
    Message.objects.filter(incident__in=pks).update(text=REMOVED)
    StatusUpdate.objects.filter(incident__in=pks).update(
        summary=REMOVED, impact="", next_steps="", held_reason=""
    )
    ActionPlanStep.objects.filter(plan__incident__in=pks).update(text=REMOVED, owner=REMOVED)
    ActionPlan.objects.filter(incident__in=pks).update(summary=REMOVED)
    LevelValidation.objects.filter(incident__in=pks).update(reason=REMOVED)
    Contest.objects.filter(validation__incident__in=pks).update(reason=REMOVED)
    Incident.objects.filter(pk__in=pks).update(title=REMOVED, description="", cause="", remedy="")
    search_index.forget(pks)


def _remove_files(pks: list[int], now: datetime) -> None:
    """A file that is gone already is no error: the pass before may have been killed after it."""
    for attachment in Attachment.objects.filter(pk__in=pks):
        attachment.file.delete(save=False)
    Attachment.objects.filter(pk__in=pks).update(file="")


# --- what came in ---


def _inbox() -> None:
    register(
        Kind(
            name="inbound_mails",
            label=_("Mails as they came"),
            effect=_("Headers, quotes and signature go; the words stay in the incident."),
            old=lambda before: InboundMessage.objects.filter(state__in=OVER, received_at__lt=before).exclude(
                raw="", payload=None
            ),
            remove=_remove_raw,
            dated="received_at",
            default_days=365,
            least_days=30,
        )
    )
    register(
        Kind(
            name="discarded_mails",
            label=_("Mails that were discarded or refused"),
            effect=_("The mail goes, and who sent it."),
            old=lambda before: InboundMessage.objects.filter(
                Q(state=State.REFUSED) | Q(state=State.DONE, outcome=Outcome.DISCARDED),
                received_at__lt=before,
            ).exclude(sender="", subject="", raw=""),
            remove=_remove_senders,
            dated="received_at",
            default_days=90,
        )
    )
    register(
        Kind(
            name="ignored_chatter",
            label=_("What was said in channels and was not meant for support"),
            effect=_("That something was said goes."),
            old=lambda before: InboundMessage.objects.filter(outcome=Outcome.IGNORED, received_at__lt=before),
            remove=delete(InboundMessage),
            dated="received_at",
            default_days=30,
        )
    )


def _remove_raw(pks: list[int], now: datetime) -> None:
    for row in InboundMessage.objects.filter(pk__in=pks).exclude(raw=""):
        row.raw.delete(save=False)
    InboundMessage.objects.filter(pk__in=pks).update(raw="", payload=None)


def _remove_senders(pks: list[int], now: datetime) -> None:
    _remove_raw(pks, now)
    InboundMessage.objects.filter(pk__in=pks).update(sender="", subject="")


def _old_drafts(before: datetime) -> QuerySet[ArticleVersion]:
    """Never published, and followed by a newer one: the newest may still be worked on."""
    newer = ArticleVersion.objects.filter(article=OuterRef("article"), number__gt=OuterRef("number"))
    drafts = ArticleVersion.objects.filter(Exists(newer), published_at=None, written_at__lt=before)
    return drafts.exclude(pk__in=Article.objects.exclude(published_version=None).values("published_version"))
