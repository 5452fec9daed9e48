"""The kernel's tables: people and organisations, services, calendars, the outbox."""

from portal.models.accounts import ApiToken, Membership, Organisation, StaffRole, User
from portal.models.announcements import Announcement, AnnouncementReading
from portal.models.calendars import BusinessCalendar, CalendarVersion, OwnDay, SpecialDate
from portal.models.catalog import Service, ServiceSubscription
from portal.models.endpoints import ChatIdentity, ChatThread, Endpoint
from portal.models.heartbeat import Heartbeat
from portal.models.outbox import DeliveryAttempt, OutboxMessage
from portal.models.purge import Purge
from portal.models.service_impact import ServiceImpact
from portal.models.status_subscription import StatusSubscription

__all__ = [
    "Announcement",
    "AnnouncementReading",
    "ApiToken",
    "BusinessCalendar",
    "CalendarVersion",
    "ChatIdentity",
    "ChatThread",
    "DeliveryAttempt",
    "Endpoint",
    "Heartbeat",
    "Membership",
    "Organisation",
    "OutboxMessage",
    "OwnDay",
    "Purge",
    "Service",
    "ServiceImpact",
    "ServiceSubscription",
    "SpecialDate",
    "StaffRole",
    "StatusSubscription",
    "User",
]
