"""A demo that looks like a real Tuesday: filed, answered and resolved by the verbs themselves."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from incidents import actions, desk
from incidents.defaults import ensure_defaults
from incidents.intake import inbox
from incidents.management.demo_channels import load_channels
from incidents.management.demo_communication import Communication
from incidents.management.demo_rca import load_rca
from incidents.models import (
    AlarmSource,
    Article,
    CannedText,
    CommunicationPlan,
    Incident,
    Shift,
    SLAPolicy,
    SupportPlan,
)
from incidents.sweep import sweep
from portal import calendars
from portal.demo import DEMO_PASSWORD
from portal.models import (
    BusinessCalendar,
    Endpoint,
    Membership,
    Organisation,
    Service,
    ServiceSubscription,
    User,
)

WEEK = {day: ["09:00-18:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
LUNCH = {day: ["08:30-12:30", "13:15-17:30"] for day in WEEK}
SERVICES = [
    ("Inference API", "Completions and embeddings over HTTPS"),
    ("Model Studio", "Fine-tuning and evaluation"),
    ("Vector Store", "Indexes and similarity search"),
    ("Agent Runtime", "Tools, schedules and long-running agents"),
    ("Console", "Dashboards, keys and usage"),
    ("Data Connectors", "Ingestion from databases and drives"),
]
STAFF = [
    ("deniz@briqmind.example", "Deniz Kaya", "agent"),
    ("elif@briqmind.example", "Elif Aydın", "agent"),
    ("mert@briqmind.example", "Mert Şahin", "duty_manager"),
    ("selin@briqmind.example", "Selin Arslan", "head_of_support"),
    ("admin@briqmind.example", "Ayşe Demir", "administrator"),
]
CUSTOMERS = [
    ("Acme Bank", "acme", "Europe/Istanbul", "en", [
        ("ada@acme.example", "Ada Yılmaz", "manager", True),
        ("can@acme.example", "Can Öztürk", "member", False),
        ("vera@acme.example", "Vera Koç", "viewer", False),
    ]),
    ("Nordwind Logistik", "nordwind", "Europe/Berlin", "en", [
        ("bruno@nordwind.example", "Bruno Weber", "manager", True),
        ("greta@nordwind.example", "Greta Vogel", "member", False),
    ]),
    ("Harbor Health", "harbor", "America/New_York", "en", [
        ("chloe@harbor.example", "Chloe Martin", "manager", True),
    ]),
]  # fmt: skip


class Command(BaseCommand):
    help = "Load the demo into an empty development database."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo loads only where DEBUG is true.")
        if Organisation.objects.exists():
            raise CommandError("The database is not empty; the demo was not loaded.")
        self.now = timezone.now().replace(second=0, microsecond=0)
        ensure_defaults(self.now)
        self.people: dict[str, User] = {}
        self.services = [
            Service.objects.create(
                name=name, slug=name.lower().replace(" ", "-"), description=text, position=n
            )
            for n, (name, text) in enumerate(SERVICES, start=1)
        ]
        self.load_people()
        self.load_plans()
        self.load_rota()
        self.load_knowledge()
        self.load_history()
        Communication(self.people, self.services, self.now).load()
        self.load_today()
        self.alarm_of_last_week()
        load_rca(self.people, self.now)
        load_channels(Organisation.objects.get(slug="acme"), self.people["ada"], self.now)
        sweep(self.now)
        self.stdout.write(f"Loaded {Incident.objects.count()} incidents.")

    def ago(self, *, days: float = 0, hours: float = 0, minutes: float = 0) -> datetime:
        return self.now - timedelta(days=days, hours=hours, minutes=minutes)

    def person(self, email: str, name: str, **fields: Any) -> User:
        user = User.objects.create_user(email, DEMO_PASSWORD, name=name, **fields)
        self.people[email.split("@")[0]] = user
        return user

    def load_people(self) -> None:
        for email, name, role in STAFF:
            self.person(email, name, staff_role=role, is_staff=True, is_superuser=role == "administrator")
        for name, slug, zone, language, people in CUSTOMERS:
            organisation = Organisation.objects.create(
                name=name, slug=slug, time_zone=zone, language=language
            )
            for email, person, role, is_contact in people:
                Membership.objects.create(
                    user=self.person(email, person),
                    organisation=organisation,
                    role=role,
                    is_p1_contact=is_contact,
                    is_escalation_contact=email == "ada@acme.example",
                )
            for service in self.services[: 6 if slug == "acme" else 4]:
                ServiceSubscription.objects.create(organisation=organisation, service=service)

    def load_plans(self) -> None:
        berlin = BusinessCalendar.objects.create(name="Germany, with a lunch break")
        calendars.new_version(
            berlin,
            now=self.now,
            by=None,
            time_zone="Europe/Berlin",
            week=LUNCH,
            country="DE",
            subdivision="HH",
        )
        new_york = BusinessCalendar.objects.create(name="US East")
        calendars.new_version(
            new_york, now=self.now, by=None, time_zone="America/New_York", week=WEEK, country="US"
        )
        default = BusinessCalendar.objects.order_by("pk")[0]
        for slug, calendar, has_bridge in [
            ("acme", default, True),
            ("nordwind", berlin, False),
            ("harbor", new_york, False),
        ]:
            SupportPlan.objects.create(
                organisation=Organisation.objects.get(slug=slug),
                policy_version=SLAPolicy.objects.order_by("pk")[0].current_version,
                calendar=calendar,
                communication_plan=CommunicationPlan.objects.order_by("pk")[0],
                has_bridge=has_bridge,
                has_dedicated_channel=has_bridge,
                conference_template="https://meet.briqmind.example/{key}" if has_bridge else "",
            )
        CannedText.objects.create(
            title="We are looking",
            text="Thank you for the report. We have it and are looking at the logs now.",
        )
        CannedText.objects.create(
            title="Request ids", text="Could you send us two or three request ids (header `x-request-id`)?"
        )

    def load_rota(self) -> None:
        """Two weeks behind and two ahead: Deniz and Elif in turn, and one gap next week, for gaps to be seen."""
        today = timezone.localtime(self.now).date()
        monday = timezone.make_aware(datetime.combine(today - timedelta(days=today.weekday()), time(9)))
        turns = [self.people["deniz"], self.people["elif"]]
        for week in range(-2, 3):
            person, backup = turns[week % 2], turns[(week + 1) % 2]
            from_at, until_at = monday + timedelta(weeks=week), monday + timedelta(weeks=week + 1)
            late = timedelta(hours=4 if week == 1 else 0)  # the gap: nobody is on call until 13:00
            self.shift("on_call", person, from_at + late, until_at, backup)
            self.shift("duty_manager", self.people["mert"], from_at, until_at, self.people["selin"])
        self.shift(
            "head_of_support", self.people["selin"], monday - timedelta(weeks=2), monday + timedelta(weeks=3)
        )
        Endpoint.objects.create(
            name="Pager of the team (an example: give it your address, then switch it on)",
            url="https://pager.briqmind.example/hooks/support",
            is_active=False,
        )

    def shift(
        self, role: str, person: User, from_at: datetime, until_at: datetime, backup: User | None = None
    ) -> None:
        Shift.objects.create(role=role, person=person, backup=backup, from_at=from_at, until_at=until_at)

    def load_knowledge(self) -> None:
        elif_ = self.people["elif"]
        texts = [
            ("rate-limits", "Answers 429: how limits work", "When you get **429**, wait for `retry-after` seconds.\n\n- Limits are per key\n- Ask us for a higher one"),
            ("streaming-timeouts", "Streams end after 60 seconds", "Proxies cut idle streams. Send `keepalive: true`, or raise the proxy's idle timeout."),
            ("rebuild-an-index", "Rebuild a vector index without downtime", "1. Create a second index\n2. Backfill it\n3. Switch the alias"),
        ]  # fmt: skip
        for slug, title, text in texts:
            article = Article.objects.create(slug=slug)
            desk.write_version(
                article, by=elif_, now=self.ago(days=60), title=title, text=text, is_published=True
            )

    def open(
        self, organisation: str, who: str, at: datetime, title: str, level: str, **more: Any
    ) -> Incident:
        services = [self.services[n] for n in more.pop("services", [0])]
        return actions.open_incident(
            organisation=Organisation.objects.get(slug=organisation),
            reporter=self.people[who],
            by=self.people[who],
            now=at,
            channel=more.pop("channel", "portal"),
            title=title,
            claimed_level=level,
            services=services,
            **more,
        )

    def staff(self, who: str, at: datetime) -> dict[str, Any]:
        return {"by": self.people[who], "now": at, "channel": "admin"}

    def update(self, incident: Incident, who: str, at: datetime, summary: str, **more: Any) -> None:
        """A status update that a channel took at once, as it did on that day."""
        actions.publish_status_update(
            incident,
            condition=more.pop("condition", "in_progress"),
            summary=summary,
            **self.staff(who, at),
            **more,
        )
        published = incident.status_updates.order_by("-pk")[0]
        actions.record_delivery(published, at=at, now=at + timedelta(seconds=2), via="email")

    def load_history(self) -> None:
        """Weeks of resolved incidents; one of them answered late, for the clocks to say so."""
        cases = [
            (34, "acme", "can", "Console shows usage of the wrong day", "P3", 4),
            (27, "nordwind", "greta", "Embeddings slower than usual", "P2", 0),
            (19, "acme", "ada", "Fine-tuning jobs stay in the queue", "P2", 1),
            (12, "harbor", "chloe", "Inference API unreachable", "P1", 0),
            (6, "nordwind", "bruno", "Similarity search misses new rows", "P2", 2),
        ]
        for days, organisation, who, title, level, service in cases:
            at = self.ago(days=days)
            incident = self.open(organisation, who, at, title, level, services=[service])
            # The P1 was answered so late that its chain had begun: half of its time had passed.
            late = 25 if title.startswith("Fine") else 9 if level == "P1" else 6
            sweep(at + timedelta(minutes=late))
            self.finish(incident, level, at + timedelta(minutes=late), who)

    def alarm_of_last_week(self) -> None:
        """Acme's Grafana reported it before anybody did, and said when it was over."""
        at = self.ago(days=9)
        acme = Organisation.objects.get(slug="acme")
        source = AlarmSource(name="Grafana of Acme Bank", kind="grafana", organisation=acme, created_at=at)
        source.make_token()
        source.save()
        self.send_alarm(source, "firing", at)
        incident = source.alarms.get().incident
        assert incident is not None
        self.finish(incident, "P2", at + timedelta(minutes=6), "ada")
        self.send_alarm(source, "resolved", at + timedelta(minutes=24))

    def send_alarm(self, source: AlarmSource, status: str, at: datetime) -> None:
        alert = {
            "status": status,
            "labels": {"alertname": "SlowSearch", "severity": "error", "service": "vector-store"},
            "annotations": {"summary": "Similarity search slower than 2 s (p95)"},
            "fingerprint": "c6eadffa33fcdf37",
        }
        inbox.process(
            inbox.store(
                "alarm",
                via="http",
                received_at=at,
                dedupe_key=f"demo:{status}",
                payload={"status": status, "alerts": [alert]},
                source=source,
            )[0].pk,
            at,
        )

    def finish(self, incident: Incident, level: str, at: datetime, who: str) -> None:
        agent = "elif" if level == "P2" else "deniz"
        actions.validate_level(incident, level=level, reason="As reported.", **self.staff(agent, at))
        actions.assign(incident, assignee=self.people[agent], **self.staff(agent, at))
        self.update(incident, agent, at + timedelta(minutes=1), "We see it and are looking for the cause.")
        if level == "P1":
            actions.start_intervention(incident, **self.staff(agent, at + timedelta(minutes=4)))
        if level == "P3":
            article = Article.objects.get(slug="rate-limits")
            actions.document_solution(
                incident,
                article=article,
                text="This article explains it.",
                **self.staff(agent, at + timedelta(hours=1)),
            )
        else:
            actions.resolve(
                incident,
                cause="A node answered health checks but not requests.",
                remedy="The node was replaced; the check now sends a real request.",
                **self.staff(agent, at + timedelta(minutes=20)),
            )
        actions.confirm(
            incident,
            by=self.people[who],
            now=at + timedelta(hours=3),
            channel="portal",
            text="Works again, thank you.",
        )

    def load_today(self) -> None:
        self.p1_in_progress()
        self.p2_waiting_for_its_plan()
        self.p2_waiting_for_the_customer()
        self.p3_with_a_release()
        self.open(
            "acme", "can", self.ago(minutes=3), "Agent runs stop at step 12", "P2", services=[3],
            description="Since this morning, about one run in five.",
        )  # fmt: skip

    def p1_in_progress(self) -> None:
        at = self.ago(minutes=38)
        incident = self.open(
            "acme", "ada", at, "Inference API answers 503 in production", "P1", impact="outage", services=[0, 3],
            description="All requests fail since **09:12**. Payments are held.\n\n`upstream connect error`",
        )  # fmt: skip
        step = lambda minutes: at + timedelta(minutes=minutes)  # noqa: E731
        sweep(step(8))  # nobody has answered after half of the time: whoever is on call is paged again
        actions.validate_level(
            incident, level="P1", reason="Production is down for all users.", **self.staff("elif", step(9))
        )
        self.update(
            incident,
            "elif",
            step(10),
            "We see errors on two of three nodes.",
            impact="All completions fail.",
            next_steps="Draining the nodes.",
        )
        actions.start_intervention(incident, **self.staff("deniz", step(11)))
        actions.add_note(
            incident,
            text="Node 2 lost its accelerator lease; same as in October.",
            **self.staff("deniz", step(14)),
        )
        actions.reply(
            incident,
            by=self.people["can"],
            now=step(18),
            channel="portal",
            text="Can we switch to the second region?",
        )
        actions.reply(
            incident,
            text="Yes: the second region is healthy. We are moving your traffic now.",
            **self.staff("deniz", step(21)),
        )
        self.update(
            incident,
            "deniz",
            step(32),
            "Failover to the second region is running.",
            impact="About 40 % of requests fail.",
            next_steps="Move the rest, then watch for 15 minutes.",
        )

    def p2_waiting_for_its_plan(self) -> None:
        at = self.ago(minutes=50)
        incident = self.open(
            "nordwind", "greta", at, "Batch embeddings take four times as long", "P2", services=[0, 2]
        )
        actions.validate_level(
            incident,
            level="P2",
            reason="Slow, but complete.",
            **self.staff("elif", at + timedelta(minutes=20)),
        )
        actions.assign(
            incident, assignee=self.people["elif"], **self.staff("elif", at + timedelta(minutes=20))
        )
        actions.reply(
            incident,
            text="We reproduce it on our side. The action plan follows today.",
            **self.staff("elif", at + timedelta(minutes=25)),
        )

    def p2_waiting_for_the_customer(self) -> None:
        at = self.ago(hours=3)
        incident = self.open(
            "harbor", "chloe", at, "Connector drops every tenth document", "P2", services=[2], channel="api"
        )
        actions.validate_level(
            incident,
            level="P2",
            reason="Data is missing, work goes on.",
            **self.staff("deniz", at + timedelta(minutes=12)),
        )
        actions.assign(
            incident, assignee=self.people["deniz"], **self.staff("deniz", at + timedelta(minutes=12))
        )
        actions.ask_customer(
            incident,
            text="Which connector version do you run, and can you send us two document ids?",
            **self.staff("deniz", at + timedelta(minutes=30)),
        )

    def p3_with_a_release(self) -> None:
        at = self.ago(days=2, hours=2)
        incident = self.open(
            "acme", "can", at, "CSV export rounds token counts", "P3", impact="none", services=[4]
        )
        actions.validate_level(
            incident,
            level="P3",
            reason="There is a workaround: the API has exact counts.",
            **self.staff("elif", at + timedelta(minutes=40)),
        )
        actions.reply(
            incident,
            text="Thank you, we see it. Until it is fixed, the usage API gives exact counts.",
            **self.staff("elif", at + timedelta(minutes=41)),
        )
        planned = (self.now + timedelta(days=9)).date()
        actions.plan_release(
            incident, version="2026.12.1", planned_on=planned, **self.staff("elif", at + timedelta(hours=20))
        )
