"""How long rows of each kind are kept, and what becomes of them afterwards.

A room declares its kinds with `register`: a query of what is old, and what is done with a few rows of it. The
clockwork runs them each night in small batches, of which each is a transaction, and may run twice. What a
clock, a report or a proof needs is no kind: it is kept for ever, and says so on the page.

There is no hold for a single organisation: an empty rule keeps a kind for ever, for everybody, and at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min, Model, QuerySet
from django.utils.translation import gettext as _

from portal import audit
from portal.heartbeat import beat
from portal.models import RetentionRule, StaffRole, User
from portal.verbs import Refused

logger = logging.getLogger(__name__)

BATCH = 200
MOST_DAYS = 36500
LIMIT = 20_000  # rows of a kind in one night


@dataclass(frozen=True)
class Kind:
    """`old` finds the rows that were over before a moment; `remove` empties or deletes some of them.

    `dated` is the column by which they are old. `default_days` None keeps them for ever; `least_days` is what
    something else needs, such as a dispute about a month.
    """

    name: str
    label: Any
    effect: Any
    old: Callable[[datetime], QuerySet[Any]]
    remove: Callable[[list[Any], datetime], None]
    dated: str
    default_days: int | None = None
    least_days: int = 1


@dataclass(frozen=True)
class Preview:
    """What a rule would remove now."""

    count: int
    oldest: datetime | None


KINDS: dict[str, Kind] = {}
FOR_EVER: list[Any] = []  # in words: what is no kind, because something is proven by it


def register(kind: Kind) -> None:
    """Make a kind known. For an app's ready()."""
    KINDS[kind.name] = kind


def delete(model: type[Model]) -> Callable[[list[Any], datetime], None]:
    """Removal by deleting the rows."""

    def remove(pks: list[Any], now: datetime) -> None:
        model._base_manager.filter(pk__in=pks).delete()

    return remove


def empty(model: type[Model], **columns: Any) -> Callable[[list[Any], datetime], None]:
    """Removal by emptying columns of the rows."""

    def remove(pks: list[Any], now: datetime) -> None:
        model._base_manager.filter(pk__in=pks).update(**columns)

    return remove


# --- the rules ---


def rules() -> list[RetentionRule]:
    """Every kind's rule, in the order of the kinds: its default (not stored) where nobody has changed it."""
    known = {rule.kind: rule for rule in RetentionRule.objects.filter(kind__in=KINDS)}
    defaults = {name: RetentionRule(kind=name, keep_days=kind.default_days) for name, kind in KINDS.items()}
    return [known.get(name, default) for name, default in defaults.items()]


def change_rule(kind: str, *, keep_days: int | None, by: User, now: datetime) -> RetentionRule:
    """Keep rows of the kind for other `keep_days` (None: for ever). Refused for less than the kind's least."""
    if not by.has_staff_role(StaffRole.ADMINISTRATOR):
        raise Refused(_("Only administrators change how long something is kept."), kind="permission")
    least = KINDS[kind].least_days
    if keep_days is not None and not least <= keep_days <= MOST_DAYS:
        words = _("Choose %(least)s to %(most)s days, or none to keep it for ever.")
        raise Refused(words % {"least": least, "most": MOST_DAYS}, field="keep_days")
    with transaction.atomic():
        RetentionRule.objects.get_or_create(kind=kind, defaults={"keep_days": KINDS[kind].default_days})
        locked = RetentionRule.objects.select_for_update().get(kind=kind)
        before, locked.keep_days = locked.keep_days, keep_days
        locked._history_user = by  # type: ignore[attr-defined]
        locked.save()
        facts = {"kind": kind, "from": before, "to": keep_days}
        audit.record("retention_changed", by=by, now=now, subject=f"retention/{kind}", facts=facts)
    return locked


# --- what they would do, and do ---


def preview(rule: RetentionRule, now: datetime, *, keep_days: int | None = None) -> Preview:
    """How many rows the rule (or another number of days) would remove now, and the oldest. Writes nothing."""
    days = rule.keep_days if keep_days is None else keep_days
    if days is None:
        return Preview(0, None)
    kind = KINDS[rule.kind]
    rows = kind.old(now - timedelta(days=days)).order_by()
    return Preview(rows.count(), rows.aggregate(oldest=Min(kind.dated))["oldest"])


def run(rule: RetentionRule, now: datetime, *, limit: int = LIMIT, by: User | None = None) -> int:
    """Remove what is old by the rule, at most `limit` rows; how many were."""
    if rule.keep_days is None:
        return 0
    kind = KINDS[rule.kind]
    done = 0
    while done < limit:
        with transaction.atomic():
            rows = kind.old(now - timedelta(days=rule.keep_days)).order_by("pk")
            pks = list(rows.values_list("pk", flat=True)[: min(BATCH, limit - done)])
            if pks:
                kind.remove(pks, now)
        if not pks:
            break
        done += len(pks)
    if done:
        facts = {"kind": rule.kind, "removed": done, "keep_days": rule.keep_days}
        audit.record("retention_ran", by=by, now=now, subject=f"retention/{rule.kind}", facts=facts)
    return done


def sweep(now: datetime, *, limit: int = LIMIT) -> dict[str, int]:
    """Every rule, once; a kind that fails stops no other."""
    beat("retention", now)
    done: dict[str, int] = {}
    for rule in rules():
        try:
            if count := run(rule, now, limit=limit):
                done[rule.kind] = count
        except Exception:
            logger.exception("the retention rule %s failed", rule.kind)
    return done
