"""Alarms as their senders document them, read into one shape. PURE: no Django, no I/O.

Alertmanager's webhook (version 4), Grafana's (unified alerting, and the legacy one), and our generic JSON.
Nothing of what a sender says is believed: texts are cleaned and cut here, and shown as text afterwards.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

TITLE_LENGTH = 200
TEXT_LENGTH = 10_000
FINGERPRINT_LENGTH = 64
NAME_LENGTH, VALUE_LENGTH, MOST_LABELS = 100, 500, 50
MOST_ALERTS = 10_000
MOST_DEPTH = 30
MOST_VALUES = 20
SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
WEB = re.compile(r"https?://[^\s<>\"'`\\]{1,500}", re.IGNORECASE)
LINKS = [
    ("runbook_url", "Runbook"),
    ("generatorURL", "Source"),
    ("dashboardURL", "Dashboard"),
    ("panelURL", "Panel"),
    ("imageURL", "Picture"),
    ("ruleUrl", "Rule"),
]


class Malformed(Exception):
    """What came is not what the sender's format says; the reason names the place."""


@dataclass(frozen=True)
class Alert:
    """One alert of a request."""

    fingerprint: str
    is_firing: bool
    title: str
    description: str = ""  # Markdown; the labels are in it
    labels: Mapping[str, str] = field(default_factory=dict)
    level: str = ""  # what a generic alert says outright

    def label(self, name: str) -> str:
        """A label's value by its name in any case, or ""."""
        return next((value for key, value in self.labels.items() if key.lower() == name.lower()), "")


# --- from bytes to values that every database can keep ---


def parse(body: bytes) -> Any:
    """The JSON of a body, cleaned: no NUL, no half character, no NaN, no depth. Raises Malformed.

    A character that its sender broke (a text cut in the middle, say) is replaced, for the alarm counts.
    """
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"), parse_constant=lambda name: None)
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}"[:300]) from error
    return _clean(value)


def _clean(value: Any, depth: int = 0) -> Any:
    if depth > MOST_DEPTH:
        raise Malformed("The body is nested too deeply.")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): _clean(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner, depth + 1) for inner in value]
    if isinstance(value, float) and value - value != 0:  # infinite: 1e999, which JSON allows
        return None
    return value


def clean_text(text: str) -> str:
    return CONTROLS.sub(" ", SURROGATES.sub("\ufffd", text).replace("\0", ""))


# --- from values to alerts ---


def read(kind: str, payload: Any) -> list[Alert]:
    """The alerts of a cleaned payload, in its order; none is a heartbeat. Raises Malformed."""
    if not isinstance(payload, dict):
        raise Malformed("The body must be a JSON object.")
    if kind == "grafana" and "alerts" not in payload:
        return _grafana_legacy(payload)
    if kind == "generic" and "alerts" not in payload:
        return [] if payload.get("heartbeat") is True else [_generic(payload, "", {})]
    read_one = READERS[kind]
    return [read_one(alert, f"alerts[{n}]", payload) for n, alert in enumerate(_alerts(payload))]


def part(payload: dict[str, Any], positions: list[int]) -> dict[str, Any]:
    """The payload with these of its alerts only, and of the rest what reading them needs."""
    if "alerts" not in payload or len(positions) == len(payload["alerts"]):
        return payload
    shared = {"status": payload["status"]} if "status" in payload else {}
    return shared | {"alerts": [payload["alerts"][position] for position in positions]}


def _alerts(payload: dict[str, Any]) -> list[dict[str, Any]]:
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise Malformed("“alerts” must be a list.")
    if len(alerts) > MOST_ALERTS:
        raise Malformed(f"Send at most {MOST_ALERTS:,} alerts at a time, not {len(alerts):,}.")
    for number, alert in enumerate(alerts):
        if not isinstance(alert, dict):
            raise Malformed(f"alerts[{number}] must be an object.")
    return alerts


def _prometheus(alert: dict[str, Any], where: str, payload: dict[str, Any]) -> Alert:
    """An alert of Alertmanager, or of Grafana's unified alerting, which has the same shape and more."""
    labels = _texts(alert, "labels", where)
    notes = _texts(alert, "annotations", where)
    words = notes.get("description") or notes.get("message") or ""
    named = [notes.get("summary"), notes.get("title"), labels.get("alertname"), words.split("\n")[0]]
    title = _line(next((text for text in named if text and text.strip()), "Alarm"), TITLE_LENGTH)
    return Alert(
        fingerprint=_fingerprint(alert.get("fingerprint"), labels, title, where),
        is_firing=_is_firing(alert.get("status", payload.get("status")), where),
        title=title,
        description=_described(words, {**alert, **notes}, labels, _values(alert.get("values"))),
        labels=_cut(labels),
    )


def _grafana_legacy(payload: dict[str, Any]) -> list[Alert]:
    """Grafana's alerting before version 8: one rule, and no alerts within."""
    state = payload.get("state")
    if state in ("pending", "paused", "unknown"):
        return []
    if state not in ("alerting", "no_data", "ok"):
        raise Malformed("Without “alerts”, “state” must be alerting, no_data or ok.")
    labels = _texts(payload, "tags", "")
    name = _text(payload, "ruleName", "") or _text(payload, "title", "")
    rule = payload.get("ruleId")
    if not name and rule is None:
        raise Malformed("“ruleId”, “ruleName” or “title” is missing.")
    labels = ({"alertname": name} if name else {}) | labels
    title = _line(_text(payload, "title", "") or name or f"Rule {rule}", TITLE_LENGTH)
    matches = payload.get("evalMatches")
    found = [match for match in matches if isinstance(match, dict)] if isinstance(matches, list) else []
    values = {str(match.get("metric", "")): match.get("value") for match in found}
    return [
        Alert(
            fingerprint=_fingerprint(None if rule is None else f"rule-{rule}", labels, name, ""),
            is_firing=state != "ok",
            title=title,
            description=_described(_text(payload, "message", ""), payload, labels, _values(values)),
            labels=_cut(labels),
        )
    ]


def _generic(alert: dict[str, Any], where: str, payload: dict[str, Any]) -> Alert:
    labels = _texts(alert, "labels", where)
    for name in ("severity", "service"):
        if said := _text(alert, name, where):
            labels[name] = said
    title = _line(_text(alert, "title", where), TITLE_LENGTH)
    is_firing = _is_firing(alert.get("status", payload.get("status", "firing")), where)
    given = alert.get("fingerprint", alert.get("dedup_key"))
    if not title and (is_firing or given in (None, "")):
        raise Malformed(f"{_at(where, 'title')} is missing: say what is wrong.")
    level = _text(alert, "level", where).strip().upper()
    if level not in ("", "P1", "P2", "P3"):
        raise Malformed(f"{_at(where, 'level')} must be P1, P2 or P3.")
    return Alert(
        fingerprint=_fingerprint(given, labels, title, where),
        is_firing=is_firing,
        title=title,
        description=_described(_text(alert, "description", where), alert, labels, {}),
        labels=_cut(labels),
        level=level,
    )


READERS: dict[str, Callable[[dict[str, Any], str, dict[str, Any]], Alert]] = {
    "alertmanager": _prometheus,
    "grafana": _prometheus,
    "generic": _generic,
}


# --- parts of an alert ---


def _at(where: str, name: str) -> str:
    return f"“{where}.{name}”" if where else f"“{name}”"


def _text(given: dict[str, Any], name: str, where: str) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{_at(where, name)} must be a text.")
    return value


def _texts(given: dict[str, Any], name: str, where: str) -> dict[str, str]:
    """An object of texts, such as labels; other values are written as texts."""
    found = given.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed(f"{_at(where, name)} must be an object.")
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


def _is_firing(status: Any, where: str) -> bool:
    said = status.strip().lower() if isinstance(status, str) else status
    if said not in ("firing", "resolved"):
        raise Malformed(f"{_at(where, 'status')} must be firing or resolved.")
    return said == "firing"


def _fingerprint(given: Any, labels: dict[str, str], title: str, where: str) -> str:
    """What the sender calls the same alarm; without it, what the labels (and the title) make of it."""
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int)):
        raise Malformed(f"{_at(where, 'fingerprint')} must be a text.")
    said = str(given).strip() if given is not None else ""
    if said and len(said) <= FINGERPRINT_LENGTH:
        return said
    # Annotations often hold figures that change; where there are labels, the title may be made of them.
    told = said or json.dumps(
        sorted(labels.items()) if labels.get("alertname") else [sorted(labels.items()), title]
    )
    return hashlib.sha256(told.encode()).hexdigest()


def _values(given: Any) -> dict[str, str]:
    found = given if isinstance(given, dict) else {}
    return {str(name): json.dumps(value) for name, value in list(found.items())[:MOST_VALUES]}


def _cut(labels: dict[str, str]) -> dict[str, str]:
    few = list(labels.items())[:MOST_LABELS]
    return {_line(name, NAME_LENGTH): _line(value, VALUE_LENGTH) for name, value in few}


def _line(text: str, length: int) -> str:
    """One printable line of at most `length` characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: length * 4]).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _described(words: str, links: Mapping[str, Any], labels: dict[str, str], values: dict[str, str]) -> str:
    """The sender's words, its links, and its values and labels as a list in which nothing can act."""
    words = words.strip()
    parts = [words if len(words) <= TEXT_LENGTH else words[:TEXT_LENGTH] + "…"]
    named = [(title, links.get(name)) for name, title in LINKS]
    parts.append(
        "\n".join(f"{t}: <{url}>  " for t, url in named if isinstance(url, str) and WEB.fullmatch(url))
    )
    for listed in (_cut(values), _cut(labels)):
        parts.append("\n".join(f"- {_code(name)}: {_code(value)}" for name, value in listed.items()))
    return "\n\n".join(part for part in parts if part)


def _code(text: str) -> str:
    """A code span: the one place where Markdown reads nothing but its own end."""
    return f"`{text.replace('`', chr(39))}`" if text else "—"
