"""The room's tables: windows and their timeline, plans, freezes and consents, invitations and feeds."""

from maintenance.models.calendar import CalendarFeed, Invitation
from maintenance.models.consent import Consent, Freeze
from maintenance.models.plan import MaintenancePlan
from maintenance.models.timeline import WindowEvent
from maintenance.models.window import (
    Decision,
    MaintenanceWindow,
    RollbackCondition,
    Status,
    WindowAlarm,
    WindowOrganisation,
    WindowPost,
    WindowService,
    WindowStep,
)

__all__ = [
    "CalendarFeed",
    "Consent",
    "Decision",
    "Freeze",
    "Invitation",
    "MaintenancePlan",
    "MaintenanceWindow",
    "RollbackCondition",
    "Status",
    "WindowAlarm",
    "WindowEvent",
    "WindowOrganisation",
    "WindowPost",
    "WindowService",
    "WindowStep",
]
