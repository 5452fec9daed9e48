"""The tables of incidents."""

from incidents.models.agreement import (
    CannedText,
    ClockKind,
    CommunicationPlan,
    Level,
    SLAPolicy,
    SLAPolicyVersion,
    SLATarget,
    SupportPlan,
)
from incidents.models.clock import Clock
from incidents.models.incident import Channel, ClosedAs, Incident, Status
from incidents.models.knowledge import Article, ArticleVersion, DocumentedSolution, Release
from incidents.models.message import (
    ActionPlan,
    ActionPlanStep,
    Attachment,
    Contest,
    LevelValidation,
    Message,
    ReplyAddress,
    StatusUpdate,
)
from incidents.models.timeline import IncidentEvent

__all__ = [
    "ActionPlan",
    "ActionPlanStep",
    "Article",
    "ArticleVersion",
    "Attachment",
    "CannedText",
    "Channel",
    "Clock",
    "ClockKind",
    "ClosedAs",
    "CommunicationPlan",
    "Contest",
    "DocumentedSolution",
    "Incident",
    "IncidentEvent",
    "Level",
    "LevelValidation",
    "Message",
    "Release",
    "ReplyAddress",
    "SLAPolicy",
    "SLAPolicyVersion",
    "SLATarget",
    "Status",
    "StatusUpdate",
    "SupportPlan",
]
