"""The seeded history is one that the product could have written: its rules, its clocks, its payloads hold."""

from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.urls import reverse

from incidents import actions, rules
from incidents.bulk.clocks import forget_promises
from incidents.bulk.setting import STRIDE, Ids
from incidents.models import RCA, Clock, Incident, IncidentEvent, Message, RCAEvent
from incidents.sweep import sweep
from maintenance.models import MaintenanceWindow, WindowEvent
from maintenance.sweep import sweep as sweep_windows
from portal.models import AuditEntry, Membership, OutboxMessage, ServiceImpact, User
from tests.conftest import T0

VERBS = {  # which verb writes a kind of event, where the names differ
    "level_validated": "validate_level",
    "staff_replied": "reply",
    "customer_replied": "reply",
    "note_added": "add_note",
    "question_asked": "ask_customer",
    "assigned": "assign",
    "intervention_started": "start_intervention",
    "action_plan_filed": "file_action_plan",
    "status_update_published": "publish_status_update",
    "status_update_accepted": "record_delivery",
    "release_planned": "plan_release",
    "release_shipped": "ship_release",
    "solution_documented": "document_solution",
    "resolved": "resolve",
    "confirmed": "confirm",
    "closed": "close",
    "closing_reminded": "remind",
    "reopened": "reopen",
    "withdrawn": "withdraw",
    "rca_published": "note_rca_published",
}


@pytest.fixture(autouse=True)
def _own_promises():
    forget_promises()


def seed(incidents=300, **options):
    out = StringIO()
    sizes = {"organisations": 12, "people": 60, "seed": 7, "now": T0, "yes": True}
    call_command("seed_bulk", incidents=incidents, stdout=out, **(sizes | options))
    return out.getvalue()


def proof(*args):
    out = StringIO()
    call_command("verify_clocks", *args, stdout=out)
    return out.getvalue()


def as_told():
    """The history without the ids that a database gave."""
    return [
        (
            *Incident.objects.order_by("pk").values_list(
                "title", "status", "level", "opened_at", "next_due_at"
            ),
            *IncidentEvent.objects.order_by("pk").values_list("kind", "at", "recorded_at", "channel"),
            *Clock.objects.order_by("pk").values_list("kind", "state", "due_at", "receipts", "attention_at"),
            *Message.objects.order_by("pk").values_list("text", "kind", "received_at"),
            *User.objects.order_by("pk").values_list("email", "name"),
        )
    ]


@pytest.mark.django_db
def test_every_clock_is_what_the_timeline_gives(settings):
    said = seed()
    assert "300 of 300 incidents" in said
    assert "300 incidents replayed, 0 differences." in proof()
    assert 4 < IncidentEvent.objects.count() / 300 < 9
    assert Clock.objects.count() > 600
    assert set(Clock.objects.values_list("kind", flat=True)) == {
        "first_response", "target_action", "status_update", "rca",
    }  # fmt: skip
    assert Clock.objects.filter(state="breached").exists()
    assert set(Incident.objects.values_list("level", flat=True)) == {"P1", "P2", "P3"}
    assert 2 <= Incident.objects.unresolved().count() <= 6  # one in a hundred, at least
    assert Incident.objects.earliest("opened_at").opened_at < T0 - timedelta(days=3600)


@pytest.mark.django_db
def test_the_verbs_could_have_written_each_timeline():
    """The statuses follow one another, each verb was allowed, times do not run back, nothing lies ahead."""
    seed()
    for incident in Incident.objects.prefetch_related("events"):
        status, recorded = "", incident.opened_at
        for event in incident.events.all():
            assert recorded <= event.recorded_at <= T0
            recorded = event.recorded_at
            if event.kind != "opened":
                assert rules.state_refusal(VERBS[event.kind], status) == "", (event.kind, status)
            assert event.payload.get("status_from", status) == status
            status = event.payload.get("status_to", status)
        assert status == incident.status
        loud = [event for event in incident.events.all() if event.kind != "status_update_accepted"]
        assert (incident.revision, incident.last_changed_at) == (len(loud), loud[-1].at)


@pytest.mark.django_db
@pytest.mark.parametrize("model", [IncidentEvent, RCAEvent, WindowEvent])
def test_payloads_are_of_their_declared_form(model):
    seed()
    assert model.objects.exists()
    for event in model.objects.all():
        assert event.payload == event.facts.as_json()
        assert event.is_public == event.facts.is_public


@pytest.mark.django_db
def test_what_payloads_name_is_there():
    seed()
    named = Counter(
        event.payload["message"] for event in IncidentEvent.objects.all() if event.payload.get("message")
    )
    assert set(named) == set(Message.objects.values_list("pk", flat=True))
    assert not Incident.objects.filter(status__in=["resolved", "closed"], resolved_at=None).exclude(
        closed_as="withdrawn"
    )
    owed = Clock.objects.filter(kind="rca").values("incident")
    assert RCA.objects.count() == Incident.objects.filter(pk__in=owed).count()
    ended = ServiceImpact.objects.filter(source__startswith="INC-", until_at=None)
    assert ended.values("source").distinct().count() == Incident.objects.unresolved().count()


@pytest.mark.django_db
def test_nothing_is_due_when_the_history_ends():
    seed(600)
    events = IncidentEvent.objects.count()
    sweep(T0), sweep_windows(T0)
    assert IncidentEvent.objects.count() == events
    assert not OutboxMessage.objects.filter(state__in=["queued", "claimed"]).exists()
    assert MaintenanceWindow.objects.filter(status="announced", attention_at__gt=T0).exists()
    assert AuditEntry.objects.exists()


@pytest.mark.django_db
def test_the_same_seed_tells_the_same_history():
    told = []
    for dice in (7, 7, 8):
        with transaction.atomic():
            seed(60, seed=dice)
            told.append(as_told())
            transaction.set_rollback(True)
        forget_promises()
    assert told[0] == told[1]
    assert told[0] != told[2]


@pytest.mark.django_db
def test_work_goes_on_after_the_history():
    """New rows get ids beyond it, and a seeded incident takes a verb like any other."""
    seed(400, password="a-password-of-tests")
    found = Incident.objects.unresolved().exclude(reporter=None).order_by("-pk").first()
    agent = User.objects.filter(is_staff=True).order_by("pk").first()
    later = T0 + timedelta(hours=1)
    actions.reply(found, by=agent, now=later, channel="admin", text="We are on it.")
    membership = Membership.objects.filter(organisation=found.organisation, role="manager").get()
    made = actions.open_incident(
        organisation=found.organisation, reporter=membership.user, by=membership.user, now=later,
        channel="portal", title="New", claimed_level="P2",
    )  # fmt: skip
    assert made.pk > Incident.objects.exclude(pk=made.pk).latest("pk").pk
    sweep(T0 + timedelta(days=3))
    assert "401 incidents replayed, 0 differences." in proof()
    assert membership.user.check_password("a-password-of-tests")


@pytest.mark.django_db
def test_its_pages_are_read(client):
    seed(400)
    staff = User.objects.filter(staff_role="head_of_support").get()
    client.force_login(staff)
    paths = [reverse(name) for name in ("incidents:list", "maintenance:list", "admin:index")]
    paths += [row.get_absolute_url() for row in Incident.objects.order_by("-pk")[:6]]
    paths += [row.incident.get_absolute_url() for row in RCA.objects.order_by("pk")[:2]]
    paths += [MaintenanceWindow.objects.order_by("pk").first().get_absolute_url()]
    for path in paths:
        assert client.get(path).status_code == 200, path


@pytest.mark.django_db
def test_a_full_database_is_refused_and_added_to_when_asked():
    seed(40)
    before = list(Incident.objects.order_by("pk").values())
    with pytest.raises(CommandError, match="--add"):
        seed(40)
    seed(40, add=True, seed=9)
    assert Incident.objects.count() == 80
    assert list(Incident.objects.order_by("pk").values()[:40]) == before
    assert "80 incidents replayed, 0 differences." in proof()


@pytest.mark.django_db
def test_production_is_not_filled_by_accident():
    with pytest.raises(CommandError, match="--yes"):
        seed(10, yes=False)
    with pytest.raises(CommandError, match="at least"):
        seed(0)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_nobody_signs_in_unless_a_password_is_given():
    seed(10)
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_an_incident_never_takes_the_ids_of_the_next():
    mine = Ids({}, 4)
    taken = [mine.next(Message) for _ in range(STRIDE)]
    assert max(taken) < Ids({}, 5).next(Message)
    with pytest.raises(ValueError, match="number 4"):
        mine.next(Message)


@pytest.mark.django_db
def test_as_many_stay_open_as_asked():
    seed(200, open=80)
    assert 150 <= Incident.objects.unresolved().count() <= 180
    assert "200 incidents replayed, 0 differences." in proof()
