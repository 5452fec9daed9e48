"""The kernel's tables: people and organisations, services, calendars, the outbox."""

from portal.models.accounts import (
    ApiToken,
    Membership,
    Organisation,
    StaffLimit,
    StaffRole,
    Team,
    User,
    Visibility,
)
from portal.models.announcements import Announcement, AnnouncementReading
from portal.models.api_use import IdempotentRequest
from portal.models.audit import AuditEntry, AuditOrigin, AuditQuerySet, AuditSeal
from portal.models.calendars import BusinessCalendar, CalendarVersion, OwnDay, SpecialDate
from portal.models.catalog import Service, ServiceSubscription
from portal.models.endpoints import ChatIdentity, ChatThread, Endpoint
from portal.models.heartbeat import Heartbeat
from portal.models.home import Home
from portal.models.identity import GroupRole, IdentityProvider, OrganisationDomain
from portal.models.impersonation import Impersonation
from portal.models.outbox import DeliveryAttempt, OutboxMessage
from portal.models.people import Invitation
from portal.models.privacy import Erasure, RetentionRule
from portal.models.purge import Purge, PurgedRow
from portal.models.service_impact import ServiceImpact
from portal.models.status_subscription import StatusSubscription

__all__ = [
    "Announcement",
    "AnnouncementReading",
    "ApiToken",
    "AuditEntry",
    "AuditOrigin",
    "AuditQuerySet",
    "AuditSeal",
    "BusinessCalendar",
    "CalendarVersion",
    "ChatIdentity",
    "ChatThread",
    "DeliveryAttempt",
    "Endpoint",
    "Erasure",
    "GroupRole",
    "Heartbeat",
    "Home",
    "IdempotentRequest",
    "IdentityProvider",
    "Impersonation",
    "Invitation",
    "Membership",
    "Organisation",
    "OrganisationDomain",
    "OutboxMessage",
    "OwnDay",
    "Purge",
    "PurgedRow",
    "RetentionRule",
    "Service",
    "ServiceImpact",
    "ServiceSubscription",
    "SpecialDate",
    "StaffLimit",
    "StaffRole",
    "StatusSubscription",
    "Team",
    "User",
    "Visibility",
]
