"""Which level an alarm claims. PURE: no Django, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from incidents.intake.alarms.formats import Alert

NONE = ""  # recorded, opens nothing
SEVERITIES = {
    **dict.fromkeys(("critical", "page", "p1", "disaster", "emergency", "fatal"), "P1"),
    **dict.fromkeys(("error", "high", "major", "p2", "average", "severe"), "P2"),
    **dict.fromkeys(("warning", "warn", "minor", "low", "p3", "notice"), "P3"),
    **dict.fromkeys(("info", "information", "informational", "none", "debug", "ok"), NONE),
}


def level_of(alert: Alert, rules: Iterable[Mapping[str, str]], default: str) -> str:
    """The first rule that fits, else the level said outright, else the severity, else the default."""
    for rule in rules:
        if alert.label(rule["label"]).lower() == rule["equals"].lower():
            return rule["level"]
    if alert.level:
        return alert.level
    return SEVERITIES.get(alert.label("severity").strip().lower(), default)


def is_worse(level: str, than: str) -> bool:
    """Whether a level asks for more than another: P1 more than P2, any more than none."""
    return bool(level) and (not than or level < than)
