"""The promise that a new installation starts with; all of it is data that staff edit afterwards."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils.text import slugify

from incidents.models import CommunicationPlan, SLAPolicy, SLAPolicyVersion, SLATarget, SupportPlan
from incidents.models.plans import fill
from portal.calendars import ensure_default_calendar
from portal.models import Organisation

MINUTES, DAYS = "within_minutes", "business_days"
DEFAULT_TARGETS: list[dict] = [
    {"level": "P1", "kind": "first_response", "rule": MINUTES, "amount": 15, "is_around_the_clock": True},
    {
        "level": "P1",
        "kind": "target_action",
        "rule": MINUTES,
        "amount": 240,
        "is_around_the_clock": True,
        "deliverable": "intervention",
    },
    {
        "level": "P1",
        "kind": "status_update",
        "rule": MINUTES,
        "amount": 30,
        "is_around_the_clock": True,
        "warn_percents": [80],
    },
    {"level": "P1", "kind": "rca", "rule": DAYS, "amount": 5},
    {"level": "P2", "kind": "first_response", "rule": MINUTES, "amount": 60, "is_around_the_clock": True},
    {"level": "P2", "kind": "target_action", "rule": "same_business_day", "deliverable": "action_plan"},
    {"level": "P2", "kind": "status_update", "rule": MINUTES, "amount": 240, "warn_percents": [80]},
    {"level": "P2", "kind": "rca", "rule": DAYS, "amount": 5, "is_on_request": True},
    {"level": "P3", "kind": "first_response", "rule": MINUTES, "amount": 240},
    {
        "level": "P3",
        "kind": "target_action",
        "rule": "planned_release",
        "deliverable": "release_or_solution",
    },
]


def ensure_defaults(now: datetime) -> None:
    """Create the standard policy, communication plan and calendar where there is none at all."""
    ensure_default_calendar(now)
    if not CommunicationPlan.objects.exists():
        fill(CommunicationPlan.objects.create(name="Standard"))
    if not SLAPolicyVersion.objects.exists():
        policy, _ = SLAPolicy.objects.get_or_create(name="Standard")
        version = SLAPolicyVersion.objects.create(policy=policy, number=1, created_at=now)
        SLATarget.objects.bulk_create(
            SLATarget(version=version, **({"warn_percents": [50, 80]} | target)) for target in DEFAULT_TARGETS
        )


def plan_for(organisation: Organisation, now: datetime) -> SupportPlan:
    """The organisation's support plan; the standard one is agreed for an organisation without any.

    A customer's report must never be lost because a plan was forgotten.
    """
    plan = (
        SupportPlan.objects.filter(organisation=organisation)
        .select_related("policy_version__policy", "calendar", "communication_plan")
        .first()
    )
    if plan:
        return plan
    ensure_defaults(now)
    first_policy = SLAPolicy.objects.order_by("pk")[0]
    return SupportPlan.objects.get_or_create(
        organisation=organisation,
        defaults={
            "policy_version": first_policy.current_version,
            "calendar": ensure_default_calendar(now),
            "communication_plan": CommunicationPlan.objects.order_by("pk")[0],
        },
    )[0]


def vendor_organisation(now: datetime) -> Organisation:
    """The vendor's own organisation, with a support plan: it holds what concerns many customers at once."""
    vendor = Organisation.objects.filter(is_vendor=True).first()
    if vendor is None:
        # A customer may bear the same name; they never bear this short name's end.
        taken = Organisation.objects.filter(name=settings.SUPPORT_BRAND).exists()
        name = f"{settings.SUPPORT_BRAND} (vendor)" if taken else settings.SUPPORT_BRAND
        slug = f"{slugify(settings.SUPPORT_BRAND)[:70]}-vendor".lstrip("-")
        vendor, _ = Organisation.objects.get_or_create(is_vendor=True, defaults={"name": name, "slug": slug})
    plan_for(vendor, now)
    return vendor
