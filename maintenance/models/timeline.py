"""The window's append-only timeline. Each kind of event declares its payload; payloads hold ids and facts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from maintenance.models.window import MaintenanceWindow
from portal.models import User
from portal.timeline import TimelineEvent


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The facts of one event. `is_public` says whether the customer may read it."""

    kind: ClassVar[str]
    is_public: ClassVar[bool] = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


PAYLOADS: dict[str, type[Payload]] = {}


def payload(cls: type[Payload]) -> type[Payload]:
    PAYLOADS[cls.kind] = cls
    return cls


class WindowEventQuerySet(models.QuerySet["WindowEvent"]):
    def visible_to(self, user: User) -> WindowEventQuerySet:
        """Events of the user's windows; customers read the public ones of the time since the announcement."""
        windows = MaintenanceWindow.objects.visible_to(user)
        if user.is_authenticated and user.is_agent:
            return self.filter(window__in=windows)
        return self.filter(window__in=windows, is_public=True, at__gte=models.F("window__announced_at"))


class WindowEvent(TimelineEvent):
    """One fact about a maintenance window."""

    window = models.ForeignKey(
        MaintenanceWindow, models.PROTECT, related_name="events", verbose_name=_("maintenance window")
    )

    objects = WindowEventQuerySet.as_manager()

    class Meta(TimelineEvent.Meta):
        abstract = False
        verbose_name = _("event")
        verbose_name_plural = _("timeline")
        indexes = [models.Index(fields=["window", "id"], name="window_event_by_window")]

    @property
    def facts(self) -> Payload:
        """The declared payload. KeyError for a kind that is not declared."""
        declared = PAYLOADS[self.kind]
        known = {field.name for field in fields(declared)}
        return declared(**{name: value for name, value in self.payload.items() if name in known})
