"""The communication plan as it holds for an incident: its rows, or the standard where it has none."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.escalation import Step, Stop
from incidents.models.agreement import (
    CommunicationPlan,
    CommunicationRule,
    EscalationStep,
    Involved,
    Topic,
)
from portal.models import Organisation

BOTH = ("email", "webhook")


@dataclass(frozen=True)
class Rule:
    """One role hears about a topic at a level: by all channels at once, or by the next when one fails."""

    level: str
    topic: str
    role: str
    channels: tuple[str, ...] = ("email",)
    is_every_channel: bool = False


# --- the standard, which a new plan starts with ---

PEOPLE = (Involved.REPORTER, Involved.PARTICIPANTS, Involved.SUBSCRIBERS)
TO_CUSTOMER = (
    Topic.RECEIPT,
    Topic.LEVEL,
    Topic.ANSWER,
    Topic.STATUS_UPDATE,
    Topic.PROGRESS,
    Topic.SOLUTION,
    Topic.RCA,
    Topic.LATENESS,
)


def _standard_rules(level: str) -> list[Rule]:
    contacts = (Involved.P1_CONTACTS,) if level == "P1" else ()
    rules = [
        Rule(level, topic, role, BOTH if topic == Topic.STATUS_UPDATE else ("email",))
        for topic in TO_CUSTOMER
        for role in (*PEOPLE, *contacts)
    ]
    rules += [Rule(level, topic, Involved.ROOM, ("webhook",)) for topic in TO_CUSTOMER]
    pages = [Involved.ON_CALL] if level != "P3" else []
    rules += [Rule(level, Topic.RECEIPT, role, BOTH, is_every_channel=level == "P1") for role in pages]
    rules += [Rule(level, Topic.RECEIPT, Involved.TEAM)]
    rules += [Rule(level, Topic.CUSTOMER_WROTE, Involved.OWNER), Rule(level, Topic.ALARM, Involved.OWNER)]
    return rules


STANDARD_RULES = [rule for level in ("P1", "P2", "P3") for rule in _standard_rules(level)]

FIRST, TARGET, UPDATE, RCA = "first_response", "target_action", "status_update", "rca"
STANDARD_STEPS = [
    # P1: nobody has answered
    Step("P1", FIRST, Involved.ON_CALL, BOTH, True, percent=50),
    Step("P1", FIRST, Involved.BACKUP, BOTH, True, percent=80),
    Step("P1", FIRST, Involved.DUTY_MANAGER, BOTH, True, percent=80),
    Step("P1", FIRST, Involved.OWNER, BOTH),
    Step("P1", FIRST, Involved.DUTY_MANAGER, BOTH, True, repeat_minutes=5, max_pages=12),
    # P1: nobody intervenes
    Step("P1", TARGET, Involved.OWNER, BOTH, percent=50),
    Step("P1", TARGET, Involved.OWNER, BOTH, percent=80),
    Step("P1", TARGET, Involved.DUTY_MANAGER, BOTH, percent=80),
    Step("P1", TARGET, Involved.HEAD_OF_SUPPORT, BOTH, True, repeat_minutes=30, max_pages=4,
         stop=Stop.DELIVERED, makes_major=True),
    Step("P1", TARGET, Involved.DUTY_MANAGER, BOTH),
    Step("P1", TARGET, Involved.OWNER, BOTH),
    Step("P1", TARGET, Involved.ESCALATION_CONTACTS),
    # P1: nobody tells the customer
    Step("P1", UPDATE, Involved.OWNER, BOTH, percent=80),
    Step("P1", UPDATE, Involved.OWNER, BOTH),
    Step("P1", UPDATE, Involved.DUTY_MANAGER, BOTH),
    Step("P1", RCA, Involved.OWNER, percent=50),
    Step("P1", RCA, Involved.OWNER, percent=80),
    Step("P1", RCA, Involved.OWNER),
    Step("P1", RCA, Involved.HEAD_OF_SUPPORT),
    Step("P2", FIRST, Involved.ON_CALL, BOTH, percent=50),
    Step("P2", FIRST, Involved.ON_CALL, BOTH, percent=80),
    Step("P2", FIRST, Involved.BACKUP, BOTH, percent=80),
    Step("P2", FIRST, Involved.OWNER),
    Step("P2", FIRST, Involved.DUTY_MANAGER, BOTH, repeat_minutes=15, max_pages=4),
    Step("P2", TARGET, Involved.OWNER, percent=50),
    Step("P2", TARGET, Involved.OWNER, percent=80),
    Step("P2", TARGET, Involved.OWNER),
    Step("P2", TARGET, Involved.DUTY_MANAGER),
    Step("P2", UPDATE, Involved.OWNER, percent=80),
    Step("P2", UPDATE, Involved.OWNER),
    Step("P2", UPDATE, Involved.DUTY_MANAGER),
    Step("P2", RCA, Involved.OWNER, percent=80),
    Step("P2", RCA, Involved.OWNER),
    Step("P2", RCA, Involved.HEAD_OF_SUPPORT),
    Step("P3", FIRST, Involved.OWNER, percent=50),
    Step("P3", FIRST, Involved.OWNER, percent=80),
    Step("P3", FIRST, Involved.OWNER),
    Step("P3", FIRST, Involved.DUTY_MANAGER),
    Step("P3", TARGET, Involved.OWNER, percent=80),
    Step("P3", TARGET, Involved.OWNER),
    Step("P3", TARGET, Involved.DUTY_MANAGER),
    Step("P3", UPDATE, Involved.OWNER, percent=80),
    Step("P3", UPDATE, Involved.OWNER),
    Step("P3", UPDATE, Involved.DUTY_MANAGER),
]  # fmt: skip


def fill(plan: CommunicationPlan) -> None:
    """Give a new plan the standard's rules and steps, for staff to edit."""
    CommunicationRule.objects.bulk_create(
        CommunicationRule(plan=plan, **{**vars(rule), "channels": list(rule.channels)})
        for rule in STANDARD_RULES
    )
    EscalationStep.objects.bulk_create(
        EscalationStep(plan=plan, **{**vars(step), "channels": list(step.channels), "stop": str(step.stop)})
        for step in STANDARD_STEPS
    )


# --- what holds ---


def plan_of(organisation: Organisation | int) -> CommunicationPlan | None:
    """The organisation's communication plan, or None while it has no support plan."""
    pk = organisation if isinstance(organisation, int) else organisation.pk
    return CommunicationPlan.objects.filter(support_plans__organisation=pk).first()


def rules_of(plan: CommunicationPlan | None) -> list[Rule]:
    """Who hears what under the plan. A plan without a single rule is the standard: nobody stays unheard."""
    rows = list(plan.rules.order_by("pk")) if plan else []
    if not rows:
        return STANDARD_RULES
    return [Rule(row.level, row.topic, row.role, tuple(row.channels), row.is_every_channel) for row in rows]


def steps_of(plan: CommunicationPlan | None) -> list[Step]:
    """The plan's escalation chain; the standard's for a plan without a single step."""
    rows = list(plan.steps.order_by("pk")) if plan else []
    return [as_step(row) for row in rows] or STANDARD_STEPS


def as_step(row: EscalationStep) -> Step:
    return Step(
        level=row.level,
        kind=row.kind,
        role=row.role,
        channels=tuple(row.channels),
        is_every_channel=row.is_every_channel,
        percent=row.percent,
        after_minutes=row.after_minutes,
        repeat_minutes=row.repeat_minutes,
        max_pages=row.max_pages,
        stop=Stop(row.stop),
        makes_major=row.makes_major,
    )
