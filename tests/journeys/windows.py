"""The staff's two doors to a maintenance window, and what is read of it from outside."""

from __future__ import annotations

from datetime import datetime
from email import message_from_bytes
from zoneinfo import ZoneInfo

import icalendar
import vobject
from django.core import mail

from maintenance.models import MaintenanceWindow
from portal.models import Service
from tests.journeys.stage import api, browser_of, plain

ZONE = ZoneInfo("Europe/Istanbul")


def wall(at: datetime) -> str:
    return at.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M")


def typed(value):
    """An input as a person types it: a wall time of the window's zone, yes or no."""
    if isinstance(value, datetime):
        return wall(value)
    return {True: "yes", False: "no"}.get(value, value)


def draft(owner, starts_at, ends_at, decision_at, *, title="Move of the storage", previous=None) -> str:
    """A draft by the desk's form, on the Inference API; its reference."""
    service = Service.objects.get(slug="inference-api")
    path = "/admin/maintenance/maintenancewindow/add/" + (f"?previous={previous[3:]}" if previous else "")
    answer = browser_of(owner).post(
        path,
        {
            "title": title,
            "description": "We move the **storage** to new disks.",
            "time_zone": "Europe/Istanbul",
            "starts_at": wall(starts_at),
            "ends_at": wall(ends_at),
            "rollback_decision_at": wall(decision_at),
            "owner": owner.pk,
            "steps": "Copy the data\nSwitch over",
            "conditions": "Share of failed requests over 5 minutes | more than 2 %",
            f"impact_{service.pk}": "outage",
        },
    )
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    return MaintenanceWindow.objects.order_by("-pk")[0].reference


class Desk:
    """Uses verbs by the dialogs of the staff's desk."""

    channel = "admin"

    def do(self, verb: str, user, reference: str, part=None, **data) -> int:
        path = f"/admin/maintenance/maintenancewindow/{reference[3:]}/do/{verb}/"
        inputs = {name: typed(value) for name, value in data.items()}
        answer = browser_of(user).post(path + (f"{part}/" if part else ""), inputs)
        return 200 if answer.status_code == 302 else answer.status_code


class Api:
    """Uses verbs by POST to the API's nouns; a draft is written and proposed on the desk."""

    channel = "api"
    NOUNS = {
        "approve": "approval",
        "announce": "announcement",
        "move_window": "move",
        "cancel": "cancellation",
        "start": "start",
        "tick_step": "steps",
        "check_condition": "conditions",
        "decide": "decision",
        "ask_extension": "extension",
        "approve_extension": "extension",
        "order_rollback": "rollback",
        "begin_verification": "verification",
        "complete": "completion",
        "post": "posts",
    }
    PARTS = {"tick_step": "step", "check_condition": "condition"}

    def do(self, verb: str, user, reference: str, part=None, **data) -> int:
        if verb not in self.NOUNS:
            return Desk().do(verb, user, reference, part, **data)
        path = f"/api/v1/maintenance-windows/{reference}/{self.NOUNS[verb]}/"
        if part:
            data[self.PARTS[verb]] = part
        if verb == "approve_extension":
            code = api(user).patch(path, {"is_approved": True}).status_code
        else:
            code = api(user).post(path, plain(data)).status_code
        return 200 if code == 201 else code


# --- what is read from outside ---


def events_of(message) -> list[dict]:
    """The calendar events of a mail, as two independent readers have them; they must agree."""
    parsed = message_from_bytes(message.message().as_bytes())
    found = []
    for part in parsed.walk():
        if part.get_content_type() != "text/calendar":
            continue
        text = part.get_payload(decode=True).decode()
        calendar = icalendar.Calendar.from_ical(text)
        event = next(iter(calendar.walk("VEVENT")))
        other = vobject.readOne(text).vevent
        assert other.uid.value == str(event["UID"])
        assert other.dtstart.value.timestamp() == event["DTSTART"].dt.timestamp()
        assert other.dtend.value.timestamp() == event["DTEND"].dt.timestamp()
        assert part.get_param("method") == str(calendar["METHOD"])
        found.append(
            {
                "method": str(calendar["METHOD"]),
                "uid": str(event["UID"]),
                "sequence": int(event["SEQUENCE"]),
                "start": event["DTSTART"].dt.astimezone(ZoneInfo("UTC")),
                "end": event["DTEND"].dt.astimezone(ZoneInfo("UTC")),
                "status": str(event["STATUS"]),
            }
        )
    return found


def since(before: int, user) -> list:
    """The mails that a person got since `before` had gone out."""
    return [message for message in mail.outbox[before:] if message.to == [user.email]]


def window_row(user, reference: str) -> dict | None:
    """The window as the API gives it; None where it is not to be seen."""
    answer = api(user).get(f"/api/v1/maintenance-windows/{reference}/")
    assert answer.status_code in (200, 404)
    return answer.json() if answer.status_code == 200 else None


def window_page(user, reference: str) -> tuple[int, str]:
    answer = browser_of(user).get(f"/maintenance/{reference}/")
    return answer.status_code, answer.content.decode()
