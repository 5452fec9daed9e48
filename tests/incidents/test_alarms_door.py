"""The hatch for alarms under attack: tokens, bodies, faults of ours, and what a sender's words may do."""

import json
import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError, connection, connections
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.intake import inbox
from incidents.intake.alarms import formats, reception
from incidents.models import Alarm, AlarmSource, InboundMessage, Incident
from portal.channels.email import Mailer
from portal.models import ApiToken, OutboxMessage
from tests.alarm_senders import (
    alertmanager,
    generic,
    grafana,
    grafana_alert,
    grafana_legacy,
    post,
    prometheus,
    source,
)
from tests.conftest import T0

KINDS = ["alertmanager", "grafana", "generic"]


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


def nothing_is_stored():
    counts = (Alarm.objects.count(), InboundMessage.objects.count(), Incident.objects.count())
    return counts == (0, 0, 0)


# --- tokens ---


def refusals(acme):
    """Every wrong token for the generic format, by name."""
    _made, right = source("generic", "right", organisation=acme)
    _off, token_off = source("generic", "off", organisation=acme, is_active=False)
    _other, token_other = source("grafana", "other", organisation=acme)
    remade, token_old = source("generic", "remade", organisation=acme)
    remade.make_token()
    remade.save()
    return right, {
        "wrong": "x" * 43,
        "empty": "",
        "inactive": token_off,
        "of another format": token_other,
        "of before": token_old,
        "the digest": AlarmSource.objects.get(name="right").token_digest,
        "shorter": right[:-1],
        "longer": right + "x",
        "in another case": right.swapcase(),
        "with a space": f"{right} x",
        "no text": "\xff\xfe",
        "long": "a" * 8000,
    }


def test_every_wrong_token_is_refused_alike(acme):
    right, wrong = refusals(acme)
    answers = {name: post(token, "generic", generic()) for name, token in wrong.items()}
    answers["none"] = Client().post("/api/v1/alarms/generic/", "{}", content_type="application/json")
    for name, answer in answers.items():
        assert answer.status_code == 401, name
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.content == answers["wrong"].content, name
    assert nothing_is_stored()
    assert post(right, "generic", generic()).status_code == 202


def test_the_right_token_by_another_scheme_is_refused(acme):
    _made, token = source("generic", organisation=acme)
    for header in (f"Token {token}", f"Basic {token}", token, f"Bearer, {token}", f"Bearer  {token}"):
        answer = Client().post(
            "/api/v1/alarms/generic/",
            "{}",
            content_type="application/json",
            headers={"Authorization": header},
        )
        assert answer.status_code == 401, header
    assert post(token, "generic", generic(), Authorization=f"bearer {token}").status_code == 202


def test_a_source_of_an_inactive_organisation_is_refused(acme):
    _made, token = source("generic", organisation=acme)
    acme.is_active = False
    acme.save()
    assert post(token, "generic", generic()).status_code == 401
    assert nothing_is_stored()


def test_a_person_opens_no_hatch_and_a_source_no_door(acme, a2, root):
    _made, token = source("generic", organisation=acme)
    for person in (a2, root):
        assert post(ApiToken.objects.create(user=person)[1], "generic", generic()).status_code == 401
        client = Client()
        client.force_login(person)
        signed_in = client.post("/api/v1/alarms/generic/", "{}", content_type="application/json")
        assert signed_in.status_code == 401
    for address in ("/api/v1/incidents/", "/api/v1/organisations/", "/api/v1/schema/"):
        answer = Client().get(address, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, address
    filed = {"title": "x", "claimed_level": "P1", "organisation": "acme"}
    assert (
        Client().post("/api/v1/incidents/", filed, headers={"Authorization": f"Bearer {token}"}).status_code
        == 401
    )
    assert nothing_is_stored()


def test_a_source_touches_the_alarms_of_no_other(acme, nordwind):
    """The same fingerprint of another source is another alarm: neither counted, nor resolved."""
    _mine, token = source("generic", organisation=acme)
    _theirs, foreign = source("generic", organisation=nordwind)
    for one in (token, foreign):
        post(one, "generic", generic(fingerprint="same"))
    post(foreign, "generic", generic(fingerprint="same", status="resolved"))
    found = list(Alarm.objects.order_by("pk").values_list("incident__organisation__slug", "status", "count"))
    assert found == [("acme", "firing", 1), ("nordwind", "resolved", 1)]


def test_a_service_of_another_organisation_is_not_named(acme, nordwind):
    from portal.models import Service, ServiceSubscription

    theirs = Service.objects.create(name="Only theirs", slug="only-theirs")
    ServiceSubscription.objects.create(organisation=nordwind, service=theirs)
    _made, token = source("generic", organisation=acme)
    assert post(token, "generic", generic(service="only-theirs")).status_code == 202
    assert list(Incident.objects.get().services.all()) == []


def test_a_get_is_no_way_in(acme):
    _made, token = source("generic", organisation=acme)
    for method in ("get", "put", "patch", "delete"):
        answer = getattr(Client(), method)(
            "/api/v1/alarms/generic/", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 405


# --- bodies ---

MALFORMED = [
    ("alertmanager", b"", "“alerts” must be a list"),
    ("alertmanager", b"{", "not JSON"),
    ("alertmanager", b"[]", "must be a JSON object"),
    ("alertmanager", b'"text"', "must be a JSON object"),
    ("alertmanager", b"{}", "“alerts” must be a list"),
    ("alertmanager", b'{"alerts": {}}', "“alerts” must be a list"),
    ("alertmanager", b'{"alerts": [5]}', "alerts[0] must be an object"),
    (
        "alertmanager",
        b'{"alerts": [{"status": "firing", "labels": []}]}',
        "“alerts[0].labels” must be an object",
    ),
    ("alertmanager", b'{"alerts": [{"labels": {}}]}', "“alerts[0].status” must be firing or resolved"),
    ("alertmanager", b'{"alerts": [{"status": "burning"}]}', "“alerts[0].status”"),
    ("alertmanager", b'{"alerts": [{"status": "firing", "fingerprint": {}}]}', "“alerts[0].fingerprint”"),
    ("grafana", b"{}", "“state” must be"),
    ("grafana", b'{"state": "alerting"}', "“ruleId”, “ruleName” or “title” is missing"),
    ("grafana", b'{"state": [], "title": "x"}', "“state” must be"),
    ("generic", b"{}", "“title” is missing"),
    ("generic", b'{"title": "  "}', "“title” is missing"),
    ("generic", b'{"title": 5}', "“title” must be a text"),
    ("generic", b'{"title": "x", "level": "P9"}', "“level” must be P1, P2 or P3"),
    ("generic", b'{"alerts": [{"title": "x"}, {"status": "firing"}]}', "“alerts[1].title” is missing"),
    ("generic", b'{"heartbeat": "yes"}', "“title” is missing"),
    ("generic", b'{"title": ' + b"[" * 100_000, "nested too deeply"),
    ("generic", b'{"title": "x", "labels": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}", "nested too deeply"),
    ("generic", b'{"title": ' + b"9" * 10_000 + b"}", "not JSON"),
]


@pytest.mark.parametrize(("kind", "body", "reason"), MALFORMED, ids=lambda value: str(value)[:30])
def test_a_malformed_body_is_refused_with_its_reason_and_nothing_is_kept(acme, kind, body, reason):
    _made, token = source(kind, organisation=acme)
    answer = post(token, kind, body)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]
    assert "Nothing of it was stored." in answer.json()["detail"]
    assert nothing_is_stored()


def test_too_much_is_refused(acme):
    _made, token = source("generic", organisation=acme)
    answer = post(token, "generic", generic(description="x" * 2 * 1024 * 1024))
    assert (answer.status_code, "Nothing of it was stored" in answer.json()["detail"]) == (413, True)
    many = {"alerts": [generic(str(n)) for n in range(10_001)]}
    assert post(token, "generic", many).status_code == 400
    assert nothing_is_stored()


def test_another_kind_of_body_is_refused(acme):
    _made, token = source("generic", organisation=acme)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        answer = Client().post(
            "/api/v1/alarms/generic/", b"x", content_type=kind, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 415


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png"])
def test_what_its_sender_would_rather_read_loses_no_alarm(acme, accept):
    _made, token = source("generic", organisation=acme)
    assert post(token, "generic", generic(), Accept=accept).status_code == 202


ODD = [
    b'{"title": "a\\u0000b", "labels": {"a\\u0000": "\\u0000"}}',
    b'{"title": "half \\ud800 a character", "labels": {"\\udfff": "\\ud800"}}',
    b'{"title": "\xff\xfe broken bytes"}',
    b'\xef\xbb\xbf{"title": "with a mark"}',
    b'{"title": "nan", "labels": {"a": NaN, "b": 1e999, "c": -Infinity, "d": 1e-999}}',
    b'{"title": "big", "labels": {"n": ' + b"9" * 4000 + b"}}",
    json.dumps({"title": "t" * 100_000, "labels": {f"l{n}" * 300: "v" * 900 for n in range(300)}}).encode(),
    json.dumps({"title": "x", "description": "d" * 1_500_000}).encode(),
    json.dumps({"title": "x", "fingerprint": "f" * 10_000}).encode(),
    json.dumps({"title": "x", "fingerprint": 7}).encode(),
    json.dumps({"title": "x", "fingerprint": ""}).encode(),
    json.dumps({"title": "x", "labels": {"": "", "`": "`|\n# x"}}).encode(),
    json.dumps({"title": "x\r\nBcc: all@acme.example\u2028y\x1b[2J"}).encode(),
    json.dumps({"title": "x\u202ey\u200bz", "labels": {"a\u202e": "\u2066b"}}).encode(),
    json.dumps({"title": "x", "unknown": {"deep": [1, {"a": None}]}}).encode(),
]


@pytest.mark.parametrize("body", ODD, ids=lambda value: str(value)[:30])
def test_odd_values_are_cleaned_and_cut_and_the_alarm_counts(acme, client, g1, body):
    _made, token = source("generic", organisation=acme)
    for _ in range(2):
        assert post(token, "generic", body).status_code == 202
    alarm, made = Alarm.objects.get(), Incident.objects.get()
    assert alarm.count == 2
    assert len(alarm.title) <= 200
    assert alarm.title.isprintable()
    assert len(made.description) <= 50_000
    assert len(alarm.labels) <= 50
    client.force_login(g1)
    for address in ("incidents/incident", "incidents/alarm"):
        assert client.get(f"/admin/{address}/").status_code == 200
    assert client.get(f"/admin/incidents/incident/{made.pk}/change/").status_code == 200
    assert client.get(f"/admin/incidents/alarm/{alarm.pk}/change/").status_code == 200


def test_without_a_fingerprint_the_labels_make_it_whatever_their_order(acme):
    _made, token = source(organisation=acme)
    first = prometheus()
    del first["fingerprint"]
    second = first | {
        "labels": dict(reversed(first["labels"].items())),
        "annotations": {"summary": "13 % of requests fail"},
    }
    third = first | {"labels": first["labels"] | {"instance": "other"}}
    post(token, "alertmanager", alertmanager(first, second, third))
    assert list(Alarm.objects.order_by("pk").values_list("count", flat=True)) == [2, 1]


def test_labels_that_differ_only_where_they_are_cut_are_different_alarms(acme):
    _made, token = source("generic", organisation=acme)
    for end in "ab":
        post(token, "generic", {"title": "x", "labels": {"path": "p" * 600 + end}})
    assert Alarm.objects.count() == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted(
    {
        *alertmanager(),
        *prometheus(),
        *grafana(),
        *grafana_alert(),
        *grafana_legacy(),
        "level",
        "severity",
        "service",
    }
    | {"description", "dedup_key", "heartbeat"}
)
ALERT = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from(["firing", "resolved", "alerting", "ok", "P1", "x", 1]) | JSON,
    max_size=8,
)
PAYLOAD = (
    JSON
    | ALERT
    | st.builds(lambda base, alerts: base | {"alerts": alerts}, ALERT, st.lists(ALERT, max_size=4))
)


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(payload=PAYLOAD)
def test_no_value_whatever_breaks_the_hatch(acme, kind, payload):
    found = AlarmSource.objects.filter(kind=kind).first() or source(kind, organisation=acme)[0]
    token = found.make_token()
    found.save()
    answer = post(token, kind, json.dumps(payload).encode())
    assert answer.status_code in (202, 400), answer.content
    assert not InboundMessage.objects.exclude(state="done").exists()


# --- our own faults ---


def test_what_could_not_be_stored_is_never_called_taken(acme, monkeypatch):
    _made, token = source("generic", organisation=acme)

    def fails(*args, **kwargs):
        raise OperationalError("the disk is full")

    post(token, "generic", generic(fingerprint="known"))
    monkeypatch.setattr(inbox, "store", fails)
    mixed = {"alerts": [generic(fingerprint="known"), generic(fingerprint="new")]}
    answer = post(token, "generic", mixed)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Send it again" in answer.json()["detail"]
    assert Alarm.objects.get().count == 1  # nothing is counted twice when it is sent again
    monkeypatch.undo()
    post(token, "generic", mixed)
    assert list(Alarm.objects.order_by("pk").values_list("count", flat=True)) == [2, 1]


@pytest.mark.parametrize("table", ["incidents_alarmsource", "incidents_alarm", "incidents_inboundmessage"])
def test_a_database_that_is_away_is_a_503_and_not_a_202(acme, table):
    _made, token = source("generic", organisation=acme)

    def away(execute, sql, params, many, context):
        if f'"{table}"' in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(away):
        assert post(token, "generic", generic()).status_code == 503
    assert post(token, "generic", generic()).status_code == 202
    assert Alarm.objects.get().count == 1


def test_what_goes_wrong_after_it_was_stored_is_not_the_sender_s_matter(acme, monkeypatch):
    _made, token = source("generic", organisation=acme)

    def fails(*args, **kwargs):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("incidents.actions.open_incident", fails)
    assert post(token, "generic", generic()).status_code == 202
    assert Incident.objects.count() == 0
    monkeypatch.undo()
    inbox.sweep(T0 + timedelta(minutes=1))
    assert Incident.objects.get().opened_at == T0


def test_a_database_that_goes_away_after_it_was_stored_takes_nothing_back(acme, monkeypatch):
    _made, token = source("generic", organisation=acme)

    def away(*args, **kwargs):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(inbox, "process", away)
    assert post(token, "generic", generic()).status_code == 202
    monkeypatch.undo()
    inbox.sweep(T0 + timedelta(minutes=1))
    assert Incident.objects.count() == 1


def test_in_a_rush_it_is_stored_and_read_by_the_worker(acme):
    """Whoever comes while another request is being read waits for no incident to be opened."""
    _made, token = source("generic", organisation=acme)
    with reception._reader:
        assert post(token, "generic", generic()).status_code == 202
    assert (Incident.objects.count(), InboundMessage.objects.get().state) == (0, "received")
    inbox.sweep(T0 + timedelta(minutes=5))
    assert Incident.objects.get().opened_at == T0


def test_a_broker_that_is_away_costs_no_alarm(acme, monkeypatch):
    _made, token = source("generic", organisation=acme)

    def away(*args, **kwargs):
        raise ConnectionError("no broker")

    monkeypatch.setattr(reception._Broker, "is_spared_until", 0.0)
    monkeypatch.setattr("celery.current_app.send_task", away, raising=False)
    reception.wake_reader()
    assert reception._Broker.is_spared_until > time.monotonic() + 10
    many = {"alerts": [generic(fingerprint=str(n)) for n in range(30)]}
    assert post(token, "generic", many).status_code == 202
    inbox.sweep(T0)
    assert Alarm.objects.count() == 30


# --- what its words may do ---

NASTY = "<img src=x onerror=alert(1)>"


def test_a_sender_s_words_are_inert_wherever_they_are_shown(acme, client, a2, g1):
    made, token = source("generic", organisation=acme, name=f"Grafana {NASTY}")
    nasty = generic(
        f"{NASTY} [x](javascript:alert(1))",
        description=f"{NASTY}\n\n[x](javascript:alert(1)) ![y](http://evil.example/p.png)\n\n<script>x</script>",
        labels={NASTY: NASTY, "a`b": "`</code>" + NASTY, "team": "x\n# heading\n| a | b |"},
    )
    post(token, "generic", nasty)
    incident = Incident.objects.get()
    alarm = Alarm.objects.get()
    client.force_login(a2)
    pages = [client.get(page) for page in ("/", "/incidents/", incident.get_absolute_url())]
    client.force_login(g1)
    admin = [f"incident/{incident.pk}/change/", "incident/", "alarm/", f"alarm/{alarm.pk}/change/"]
    admin += ["alarmsource/", f"alarmsource/{made.pk}/change/"]
    pages += [client.get(f"/admin/incidents/{page}") for page in admin]
    for page in pages:
        shown = page.content.decode()
        assert page.status_code == 200
        for sign in ("<img src=x", "<script>x", 'href="javascript:', 'src="http://evil'):
            assert sign not in shown, (page.request["PATH_INFO"], sign)


def test_no_header_is_made_of_a_title(acme, a2, g1, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    _made, token = source("generic", organisation=acme)
    post(token, "generic", generic("down\r\nBcc: all@acme.example\u2028X-Evil: 1\0 <b>"))
    with Mailer() as mailer:
        from portal import outbox

        report = outbox.SweepReport()
        for message in outbox.claim(T0):
            outbox.deliver(message, mailer, report, T0)
    assert report.sent >= 2
    for message in OutboxMessage.objects.filter(state="sent"):
        assert not {"Bcc", "X-Evil"} & set(message.headers)
        assert message.subject.isprintable()


# --- at once ---


@pytest.mark.django_db(transaction=True)
def test_the_count_is_right_when_many_come_at_once(acme):
    _made, token = source("generic", organisation=acme)
    statuses = []

    def send():
        try:
            for _ in range(12):
                # An in-memory SQLite refuses whom a file lets wait; senders send again what got a 5xx.
                while (answer := post(token, "generic", generic(fingerprint="same"))).status_code == 503:
                    time.sleep(0.01)
                statuses.append(answer.status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for minutes in (1, 2, 10, 20):
        inbox.sweep(T0 + timedelta(minutes=minutes))
    assert set(statuses) == {202}
    assert (Incident.objects.count(), Alarm.objects.get().count) == (1, 72)
    assert OutboxMessage.objects.filter(kind="incident_opened").count() <= 1


# --- the formats, purely ---


def test_every_format_is_read_as_documented():
    [alert] = formats.read("alertmanager", alertmanager(prometheus()))
    assert (alert.fingerprint, alert.is_firing, alert.label("Severity")) == (
        "f0c4c1d1e1a4b2aa",
        True,
        "critical",
    )
    [alert] = formats.read("grafana", grafana(grafana_alert(status="resolved")))
    assert (alert.fingerprint, alert.is_firing) == ("57c6d9296de2ad39", False)
    assert "- `B`: `22`" in alert.description
    assert "Panel: <https://grafana.example/d/abc?viewPanel=2>" in alert.description
    [alert] = formats.read("grafana", grafana_legacy())
    assert (alert.fingerprint, alert.title) == ("rule-7", "[Alerting] High error rate")
    assert "- `error rate`: `12.5`" in alert.description
    assert [formats.read("grafana", grafana_legacy(state)) for state in ("paused", "pending")] == [[], []]
    [alert] = formats.read("grafana", grafana_legacy("no_data"))
    assert alert.is_firing
    assert formats.read("generic", {"heartbeat": True}) == []
    assert [a.level for a in formats.read("generic", {"alerts": [generic(level="p2"), generic()]})] == [
        "P2",
        "",
    ]


def test_a_label_cannot_leave_its_code_span():
    [alert] = formats.read("generic", generic(labels={"a`b": "x` **bold** [y](http://evil.example) `\n- z"}))
    assert alert.description.splitlines()[-2:] == [
        "- `a'b`: `x' **bold** [y](http://evil.example) ' - z`",
        "- `severity`: `critical`",
    ]


def test_a_link_that_could_act_is_no_link():
    for url in ("javascript:alert(1)", "http://a b", "https://x>y", "data:text/html,x", "ftp://x", 5, None):
        [alert] = formats.read("alertmanager", alertmanager(prometheus(generatorURL=url)))
        assert "Source:" not in alert.description, url
