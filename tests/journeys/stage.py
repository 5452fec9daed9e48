"""What journeys are played on: moved time, the clockwork's own tasks, and two doors with the same words."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from incidents.models import Article, Incident
from portal.celery import app
from portal.models import Service
from tests.conftest import T0

STAFF_ZONE = ZoneInfo("Europe/Istanbul")


class ApiDoor:
    """Uses verbs by POST to the API's nouns."""

    channel = "api"
    NOUNS = {
        "reply": "replies",
        "add_note": "notes",
        "validate_level": "level-validation",
        "contest_lowering": "contest",
        "decide_contest": "contest",
        "start_intervention": "intervention",
        "file_action_plan": "action-plan",
        "ask_customer": "question",
        "publish_status_update": "status-updates",
        "schedule_status_update": "status-updates",
        "plan_release": "planned-release",
        "move_release": "planned-release",
        "ship_release": "planned-release",
        "withdraw_release": "planned-release",
        "document_solution": "documented-solution",
        "assign": "assignment",
        "restore": "restoration",
        "resolve": "resolution",
        "confirm": "confirmation",
        "reopen": "reopening",
        "withdraw": "withdrawal",
        "escalate": "escalation",
        "answer_escalation": "escalation",
    }
    METHODS = {
        "decide_contest": "patch",
        "answer_escalation": "patch",
        "move_release": "patch",
        "ship_release": "patch",
        "withdraw_release": "delete",
    }

    def file(self, user, **data) -> str:
        answer = api(user).post("/api/v1/incidents/", data)
        assert answer.status_code == 201, answer.content
        return answer.json()["reference"]

    def do(self, verb: str, user, reference: str, **data):
        if "condition" in data:
            data["state"] = data.pop("condition")
        if verb == "ship_release":
            data["is_shipped"] = True
        path = f"/api/v1/incidents/{reference}/{self.NOUNS[verb]}/"
        answer = getattr(api(user), self.METHODS.get(verb, "post"))(path, plain(data))
        return answer.status_code if answer.status_code != 201 else 200, answer.content.decode()


class PortalDoor:
    """Uses verbs by the forms of the customer's pages and of the staff's desk."""

    channel = "portal"
    PAGES = {
        "reply": ("replies", ""),
        "contest_lowering": ("contest", ""),
        "confirm": ("confirmation", "confirm-"),
        "reopen": ("reopening", "reopen-"),
        "withdraw": ("withdrawal", "withdraw-"),
        "escalate": ("escalation", ""),
    }

    def file(self, user, **data) -> str:
        client = browser_of(user)
        page = client.get("/incidents/new/")
        form = page.context["form"]
        slugs = data.pop("services", [])
        data |= {
            "organisation": form.fields["organisation"].initial,
            "token": form.initial["token"],
            "impact": "degraded",
            "services": list(Service.objects.filter(slug__in=slugs).values_list("pk", flat=True)),
        }
        answer = client.post("/incidents/new/", data)
        assert answer.status_code == 302, answer.context["form"].errors
        return answer["Location"].rstrip("/").split("/")[-1]

    def do(self, verb: str, user, reference: str, **data):
        if user.is_agent and verb != "confirm":
            pk = Incident.objects.by_reference(reference).get().pk
            path, prefix = f"/admin/incidents/incident/{pk}/do/{verb}/", ""
        else:
            noun, prefix = self.PAGES.get(verb, ("level-validation", ""))
            path = f"/incidents/{reference}/{noun}/"
        inputs = {prefix + name: as_typed(name, value) for name, value in data.items()}
        answer = browser_of(user).post(path, inputs)
        return 200 if answer.status_code == 302 else answer.status_code, answer.content.decode()


def as_typed(name: str, value):
    """A verb's input as a person types it into the form."""
    if name == "steps":
        return "\n".join(f"{s['text']} | {s['owner']} | {s['due_on']}" for s in value)
    if name == "is_upheld":
        return "yes" if value else "no"
    if name == "article":
        return Article.objects.get(slug=value).pk
    if isinstance(value, datetime):
        return value.astimezone(STAFF_ZONE).strftime("%Y-%m-%dT%H:%M")
    return str(value)


def plain(data: dict):
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in data.items()}


def api(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def browser_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


class Stage:
    """Moves the clock and lets the clockwork run; speaks to the product through one door."""

    def __init__(self, traveller, door, start: datetime = T0) -> None:
        self.traveller, self.door, self.start = traveller, door, start
        traveller.move_to(start)
        app.loader.import_default_modules()  # as a worker does when it starts

    def time(self, minutes: float) -> datetime:
        return self.start + timedelta(minutes=minutes)

    def at(self, minutes: float) -> None:
        self.go(self.time(minutes))

    def go(self, now: datetime) -> None:
        self.traveller.move_to(now)
        self.work()

    def work(self) -> None:
        """Every task of the beat schedule that runs by the second, twice: what one causes, the other does."""
        ticking = [
            e["task"] for e in settings.CELERY_BEAT_SCHEDULE.values() if isinstance(e["schedule"], float)
        ]
        for task in [*ticking, *ticking]:
            app.tasks[task].apply(throw=True)

    def file(self, user, **data) -> str:
        reference = self.door.file(user, **data)
        self.work()
        return reference

    def do(self, verb: str, user, reference: str, expected: int = 200, **data) -> str:
        """Use a verb; the answer's words. The status is the API's: 400, 403, 404 or 409 for a refusal."""
        status, words = self.door.do(verb, user, reference, **data)
        assert status == expected, (status, words[-3000:])
        self.work()
        return words

    def read(self, user, reference: str) -> dict:
        answer = api(user).get(f"/api/v1/incidents/{reference}/")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def page(self, user, reference: str) -> str:
        answer = browser_of(user).get(f"/incidents/{reference}/")
        assert answer.status_code == 200
        return answer.content.decode()

    def minute(self, text: str | None) -> float | None:
        return (parse_datetime(text) - self.start).total_seconds() / 60 if text else None

    def clocks(self, user, reference: str, kind: str, *, cycle: int | None = None) -> list[dict]:
        found = self.read(user, reference)["clocks"]
        return [c for c in found if c["kind"] == kind and cycle in (None, c["cycle"])]

    def events(self, user, reference: str) -> list[dict]:
        return api(user).get(f"/api/v1/incidents/{reference}/events/").json()


def mails_to(user) -> list:
    return [message for message in mail.outbox if message.to == [user.email]]


def heard(before: int, *people) -> bool:
    """Whether exactly these people got a mail since `before` mails had gone out, one each."""
    found = [(m.to[0], m.subject) for m in mail.outbox[before:]]
    assert sorted(to for to, _ in found) == sorted(p.email for p in people), found
    return True
