"""Silent sources, their tokens on the staff desk, and the command that makes one."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from incidents.intake.alarms.heartbeat import sweep_silence
from incidents.models import AlarmSource, Incident
from portal import outbox
from portal.channels.email import Mailer
from portal.models import OutboxMessage
from tests.alarm_senders import alertmanager, generic, post, prometheus, source
from tests.conftest import T0
from tests.factories import agent


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with time_machine.travel(T0, tick=False):
        yield


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def send(token, minutes, body=None, kind="generic"):
    with time_machine.travel(at(minutes), tick=False):
        return post(token, kind, {"heartbeat": True} if body is None else body)


def deliver(minutes):
    report = outbox.SweepReport()
    with Mailer() as mailer:
        for message in outbox.claim(at(minutes)):
            outbox.deliver(message, mailer, report, at(minutes))


def told(kind, **states):
    rows = OutboxMessage.objects.filter(kind=kind, **states)
    return sorted(rows.values_list("recipient__email", flat=True))


@pytest.fixture
def watched(acme, a1, a2, g1, m1, b1):
    return source("generic", "Monitoring of Acme", organisation=acme, heartbeat_minutes=10, created_at=T0)


def test_a_silent_source_is_told_once_to_duty_managers_and_its_managers(watched):
    made, token = watched
    send(token, 5)
    assert sweep_silence(at(15)) == 0
    assert [sweep_silence(at(minutes)) for minutes in (16, 17, 60, 600)] == [1, 0, 0, 0]
    made.refresh_from_db()
    assert made.silent_since == at(15)
    assert told("source_silent") == ["a2@acme.example", "m1@briqmind.example"]
    deliver(16)
    message = OutboxMessage.objects.get(kind="source_silent", recipient__email="a2@acme.example")
    assert (message.state, message.subject) == ("sent", "Alarm source silent: Monitoring of Acme")
    assert "every 10 minutes" in message.text
    assert "/admin/" not in message.text


def test_one_that_was_never_heard_of_is_counted_from_its_creation(watched):
    assert [sweep_silence(at(minutes)) for minutes in (10, 11)] == [0, 1]


def test_all_staff_hear_where_there_is_no_duty_manager(acme, g1, g2):
    agent("gone@briqmind.example", "Gone", is_active=False)
    source("generic", organisation=acme, heartbeat_minutes=10, created_at=T0)
    sweep_silence(at(30))
    assert told("source_silent") == ["g1@briqmind.example", "g2@briqmind.example"]


def test_a_service_s_source_is_no_customer_s_matter(acme, a2, m1):
    service = acme.subscriptions.first().service
    source("generic", service=service, heartbeat_minutes=10, created_at=T0)
    sweep_silence(at(30))
    assert told("source_silent") == ["m1@briqmind.example"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("generic", {"heartbeat": True}, 202),
        ("generic", {"alerts": []}, 202),
        ("alertmanager", alertmanager(), 202),
        ("alertmanager", alertmanager(prometheus(status="resolved")), 202),
        ("alertmanager", alertmanager(prometheus()), 202),
        ("generic", {"nonsense": 1}, 400),
    ],
)
def test_whatever_comes_with_the_token_ends_the_silence(acme, m1, kind, body, status):
    made, token = source(kind, organisation=acme, heartbeat_minutes=10, created_at=T0)
    sweep_silence(at(11))
    deliver(11)
    assert send(token, 20, body, kind).status_code == status
    made.refresh_from_db()
    assert (made.silent_since, made.last_seen_at) == (None, at(20))
    assert told("source_back") == ["m1@briqmind.example"]
    deliver(20)
    assert told("source_back", state="sent") == ["m1@briqmind.example"]
    assert [sweep_silence(at(minutes)) for minutes in (30, 31)] == [0, 1]
    deliver(31)
    assert len(told("source_silent", state="sent")) == 2


def test_a_heartbeat_is_no_alarm(watched):
    made, token = watched
    assert send(token, 1).json() == {"accepted": 0}
    assert (Incident.objects.count(), made.alarms.count()) == (0, 0)


def test_a_wrong_token_is_no_sign_of_life(watched):
    send("x" * 43, 5)
    assert sweep_silence(at(11)) == 1


def test_nobody_hears_of_a_silence_that_is_over_before_it_could_be_told(watched):
    _made, token = watched
    sweep_silence(at(11))
    send(token, 12)
    deliver(13)
    assert set(OutboxMessage.objects.values_list("state", flat=True)) == {"dropped"}


def test_whoever_left_hears_nothing_of_it(watched, a2):
    sweep_silence(at(11))
    a2.memberships.all().delete()
    deliver(12)
    assert told("source_silent", state="sent") == ["m1@briqmind.example"]


def test_unwatched_and_inactive_sources_may_be_silent(acme, m1):
    source("generic", organisation=acme, created_at=T0)
    source("generic", organisation=acme, heartbeat_minutes=10, is_active=False, created_at=T0)
    assert sweep_silence(at(6000)) == 0


# --- the staff desk ---

FORM = {
    "name": "Grafana of Acme",
    "kind": "grafana",
    "level_rules": "[]",
    "default_level": "P2",
    "storm_threshold": "5",
    "storm_minutes": "5",
    "is_active": "on",
}
ADD = "/admin/incidents/alarmsource/add/"
LIST = "/admin/incidents/alarmsource/"


def token_in(answer):
    """The token that the page shows."""
    [said] = [str(m) for m in answer.context["messages"] if "Token of" in str(m)]
    return said.rpartition(" ")[2]


def test_a_token_is_shown_once_and_a_new_one_ends_the_old(client, acme, h1):
    client.force_login(h1)
    token = token_in(client.post(ADD, FORM | {"organisation": acme.pk}, follow=True))
    made = AlarmSource.objects.get()
    pages = ["", f"{made.pk}/change/", f"{made.pk}/history/", f"{made.pk}/history/{made.history.first().pk}/"]
    for page in pages:
        shown = client.get(f"{LIST}{page}").content.decode()
        assert token not in shown
        assert made.token_digest not in shown
    assert token not in str(AlarmSource.objects.values())
    body = {"state": "ok", "ruleId": 1, "title": "x"}
    assert post(token, "grafana", body).status_code == 202
    data = {"action": "make_token", "_selected_action": made.pk, "index": "0"}
    second = token_in(client.post(LIST, data, follow=True))
    assert [post(one, "grafana", body).status_code for one in (token, second)] == [401, 202]
    client.post(f"{LIST}{made.pk}/change/", FORM | {"organisation": acme.pk, "name": "Renamed"})
    assert AlarmSource.objects.get().name == "Renamed"
    assert post(second, "grafana", body).status_code == 202


def test_an_earlier_state_put_back_keeps_the_token_of_now(client, acme, h1):
    client.force_login(h1)
    made, token = source("generic", "Now", organisation=acme)
    back = f"{LIST}{made.pk}/history/{made.history.first().pk}/"
    assert client.post(back, FORM | {"organisation": acme.pk, "kind": "generic"}).status_code == 302
    assert post(token, "generic", generic()).status_code == 202


@pytest.mark.parametrize(
    "rules",
    [
        "{}", "[1]", '[{"label": "a", "equals": "b"}]', '[{"label": "a", "equals": 1, "level": "P1"}]',
        '[{"label": "a", "equals": "b", "level": "P4"}]', "not JSON", "null", '["label", "equals", "level"]',
    ],
)  # fmt: skip
def test_level_rules_that_could_not_be_read_are_refused(client, acme, h1, rules):
    client.force_login(h1)
    answer = client.post(ADD, FORM | {"organisation": acme.pk, "level_rules": rules})
    assert (answer.status_code, AlarmSource.objects.count()) == (200, 0)


def test_a_source_has_one_owner(client, acme, h1):
    client.force_login(h1)
    both = {"organisation": acme.pk, "service": acme.subscriptions.first().service_id}
    for owners in (both, {}):
        assert client.post(ADD, FORM | owners).status_code == 200
    assert AlarmSource.objects.count() == 0


def test_the_list_says_who_is_silent(client, watched, g1):
    sweep_silence(at(11))
    client.force_login(g1)
    assert "Silent since" in client.get(LIST).content.decode()


# --- the command ---


def made_by_command(*args):
    out = StringIO()
    call_command("create_alarm_source", *args, stdout=out)
    return out.getvalue().strip()


def test_the_command_prints_a_token_that_works(acme):
    token = made_by_command(
        "Prometheus", "--kind", "generic", "--organisation", "acme", "--heartbeat-minutes", "5"
    )
    assert post(token, "generic", generic()).status_code == 202
    assert AlarmSource.objects.get().heartbeat_minutes == 5
    assert made_by_command("Probe", "--kind", "grafana", "--service", "inference-api")


@pytest.mark.parametrize(
    "args",
    [
        ("x", "--kind", "generic"),
        ("x", "--kind", "generic", "--organisation", "acme", "--service", "inference-api"),
        ("x", "--kind", "smoke", "--organisation", "acme"),
        ("x", "--kind", "generic", "--organisation", "no-such"),
        ("x", "--kind", "generic", "--service", "no-such"),
        ("Taken", "--kind", "generic", "--organisation", "acme"),
        ("", "--kind", "generic", "--organisation", "acme"),
        ("x", "--kind", "generic", "--organisation", "acme", "--heartbeat-minutes", "-1"),
    ],
)
def test_the_command_refuses_what_cannot_be(acme, args):
    source("generic", "Taken", organisation=acme)
    with pytest.raises(CommandError):
        made_by_command(*args)
    assert AlarmSource.objects.count() == 1
