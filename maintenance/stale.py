"""What is not true any more when a message about a window is to be sent: then it is not sent."""

from __future__ import annotations

from datetime import datetime

from maintenance.models import Consent, Status, WindowEvent


def reason(mail: str, event: WindowEvent) -> str:
    """Why something that is not a person's word is not true any more, or ""."""
    window, facts = event.window, event.payload
    is_waiting = window.status == Status.ANNOUNCED
    checks = {
        "maintenance_reminder": is_waiting and _is_same(facts.get("starts_at"), window.starts_at),
        "maintenance_invited": not window.is_over,
        "maintenance_started": window.is_running,
        "maintenance_overrun": window.is_running,
        "staff_maintenance_start_held": is_waiting and _is_same(facts.get("starts_at"), window.starts_at),
        "staff_maintenance_decision": window.is_running and not window.decision,
        "staff_maintenance_decision_lapsed": window.is_running and not window.decision,
        "staff_maintenance_extension": window.extension_until is not None,
        "staff_maintenance_overrun": window.is_running,
        "staff_maintenance_end_passed": window.is_running,
        "staff_maintenance_consent_asked": _is_open(facts.get("consent")),
        "staff_maintenance_proposed": window.status == Status.PROPOSED,
    }
    return "" if checks.get(mail, True) else "it is not true any more"


def _is_same(text: str | None, at: datetime) -> bool:
    return text is not None and datetime.fromisoformat(text) == at


def _is_open(consent: int | None) -> bool:
    return Consent.objects.open().filter(pk=consent or 0).exists()
