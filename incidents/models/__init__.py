"""The tables of incidents."""

from incidents.models.agreement import (
    CannedText,
    ClockKind,
    CommunicationPlan,
    CommunicationRule,
    EscalationStep,
    Involved,
    Level,
    SLAPolicy,
    SLAPolicyVersion,
    SLATarget,
    SupportPlan,
    Topic,
)
from incidents.models.bridge import Bridge, BridgePresence, BridgeRole, BridgeSeat, BridgeStep
from incidents.models.bridge_timeline import BridgeOpened as BridgeOpened  # declares its kinds
from incidents.models.clock import Clock
from incidents.models.escalation import CustomerEscalation, Escalation
from incidents.models.incident import Channel, ClosedAs, Incident, Status, Watcher
from incidents.models.intake import Alarm, AlarmSource, InboundMessage
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
from incidents.models.oncall import Shift
from incidents.models.people_timeline import WatcherAdded as WatcherAdded  # declares its kinds
from incidents.models.rca import (
    RCA,
    PreventionAction,
    RCAComment,
    RCACopy,
    RCAEvent,
    RCAMoment,
    RCARedaction,
    RCAVersion,
    Recurrence,
)
from incidents.models.rca_timeline import RCARemark
from incidents.models.report import MonthlyReport
from incidents.models.search import SearchRow
from incidents.models.timeline import IncidentEvent

__all__ = [
    "RCA",
    "ActionPlan",
    "ActionPlanStep",
    "Alarm",
    "AlarmSource",
    "Article",
    "ArticleVersion",
    "Attachment",
    "Bridge",
    "BridgePresence",
    "BridgeRole",
    "BridgeSeat",
    "BridgeStep",
    "CannedText",
    "Channel",
    "Clock",
    "ClockKind",
    "ClosedAs",
    "CommunicationPlan",
    "CommunicationRule",
    "Contest",
    "CustomerEscalation",
    "DocumentedSolution",
    "Escalation",
    "EscalationStep",
    "InboundMessage",
    "Incident",
    "IncidentEvent",
    "Involved",
    "Level",
    "LevelValidation",
    "Message",
    "MonthlyReport",
    "PreventionAction",
    "RCAComment",
    "RCACopy",
    "RCAEvent",
    "RCAMoment",
    "RCARedaction",
    "RCARemark",
    "RCAVersion",
    "Recurrence",
    "Release",
    "ReplyAddress",
    "SLAPolicy",
    "SLAPolicyVersion",
    "SLATarget",
    "SearchRow",
    "Shift",
    "Status",
    "StatusUpdate",
    "SupportPlan",
    "Topic",
    "Watcher",
]
