"""The API of maintenance: nouns, shapes, filters, refusals; and nobody reads of another organisation."""

import json
from datetime import timedelta

import jsonschema
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator

from maintenance import actions
from maintenance.models import Consent, Freeze, MaintenanceWindow
from maintenance.sweep import sweep
from portal.models import Membership, Organisation, Service, ServiceSubscription
from portal.standard_form import schema
from tests.conftest import T0
from tests.incidents.test_api import bearer, check_problem
from tests.incidents.test_stranger import Writes
from tests.maintenance.test_pages import _row
from tests.maintenance.world import (
    DAY,
    DECISION,
    END,
    HOUR,
    START,
    announced,
    approved,
    by,
    check_all,
    draft,
    service,
)

WINDOWS, FREEZES = "/api/v1/maintenance-windows/", "/api/v1/freezes/"
LATER = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}

pytestmark = pytest.mark.usefixtures("cast")


@pytest.fixture(autouse=True)
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False) as traveller:
        yield traveller


def at(window, noun=""):
    return f"{WINDOWS}{window.reference}/{noun}{'/' if noun else ''}"


def swept(window, when):
    sweep(when)
    window.refresh_from_db()
    return window


@pytest.fixture
def running(g1, g2, clock):
    window = swept(announced(g1, g2), START)
    clock.move_to(START + timedelta(minutes=1))
    return window


def found(user, query="", **token):
    answer = bearer(user, **token).get(WINDOWS + query)
    assert answer.status_code == 200, answer.content
    return [row["reference"] for row in answer.json()["results"]]


# --- reading ---


def test_a_window_in_every_field(a1, g1, g2):
    window = announced(g1, g2)
    said = bearer(a1).get(at(window)).json()
    assert said["reference"] == window.reference
    assert said["starts_at"] == "2026-03-10T10:00:00Z"
    assert said["services"] == [{"service": "inference-api", "name": "Inference API", "impact": "outage"}]
    assert [step["text"] for step in said["steps"]] == ["Drain the nodes", "Upgrade them"]
    assert said["conditions"][0]["limit"] == "more than 2 %"
    assert (said["status"], said["owner"], said["sequence"]) == ("announced", str(g1), 0)
    assert said["is_consent_asked"] is False
    shapes = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    assert set(
        shapes["MaintenanceWindow" if "MaintenanceWindow" in shapes else "Window"]["properties"]
    ) == set(said)


def test_the_standard_form_holds_to_its_schema(a1, g1, g2, running):
    for user in (a1, g1):
        said = bearer(user).get(at(running)).json()["form"]
        jsonschema.validate(said, dict(schema()))
        assert (said["kind"], said["reference"]) == ("maintenance_notice", running.reference)


def test_customers_see_announced_windows_of_their_own_and_staff_all(a1, b1, c1, g1, g2):
    drafted, ready = draft(g1, **LATER), approved(g1, g2, services=[(service("Vector Store"), "degraded")])
    window = announced(g1, g2)
    assert found(a1) == found(c1) == [window.reference]
    assert found(b1) == []
    assert set(found(g1)) == {drafted.reference, ready.reference, window.reference}
    for user, hidden in [(a1, drafted), (a1, ready), (b1, window)]:
        check_problem(bearer(user).get(at(hidden)), 404)
    for wrong in ("MW-987654", "MW-0", "MW-x", "INC-1", f"MW-{'9' * 30}"):
        check_problem(bearer(g1).get(f"{WINDOWS}{wrong}/"), 404)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?status=announced", {"later"}),
        ("?status=in_progress", {"now"}),
        ("?status=announced&status=in_progress", {"later", "now"}),
        ("?status=completed", set()),
        ("?from=2026-03-10T12:00:00Z", {"later"}),
        ("?from=2026-03-10T11:59:59Z", {"later", "now"}),
        ("?until=2026-03-11T10:00:00Z", {"now"}),
        ("?from=2026-03-10T11:00:00Z&until=2026-03-10T11:30:00Z", {"now"}),
        ("?service=inference-api", {"later", "now"}),
        ("?service=vector-store", set()),
    ],
)
def test_the_filters(a1, g1, g2, clock, query, expected):
    later, now = announced(g1, g2, **LATER), swept(announced(g1, g2), START)
    clock.move_to(START + timedelta(minutes=1))
    names = {"later": later.reference, "now": now.reference}
    assert set(found(a1, query)) == {names[name] for name in expected}


@pytest.mark.parametrize(
    "query",
    [
        "?status=broken", "?from=never", "?until=9999-12-31T23:59:59-12:00", "?from=0001-01-01T00:00:00%2B12:00",
        "?colour=red", "?ordering=title", "?owner__password__startswith=m", "?since=2026-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_a_filter_that_is_wrong_or_unknown_is_refused(a1, query):
    check_problem(bearer(a1).get(WINDOWS + query), 400)


def test_a_filter_finds_no_service_that_one_does_not_use(a1, c1, g1, g2, cloudia):
    secret = Service.objects.create(name="Secret Cluster", slug="secret")
    ServiceSubscription.objects.create(organisation=cloudia, service=secret)
    window = announced(g1, g2, services=[(service(), "degraded"), (secret, "outage")])
    assert found(a1, "?service=secret") == []
    assert found(c1, "?service=secret") == [window.reference]
    assert "Secret" not in bearer(a1).get(at(window)).content.decode()
    assert "Secret" in bearer(c1).get(at(window)).content.decode()


def test_a_token_of_one_organisation_reads_as_that_one(a1, acme, nordwind, cloudia, g1, g2):
    secret = Service.objects.create(name="Secret Cluster", slug="secret")
    ServiceSubscription.objects.create(organisation=cloudia, service=secret)
    Membership.objects.create(user=a1, organisation=cloudia, role="member")
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    window = announced(g1, g2, T0 + 4 * DAY, services=[(service(), "outage"), (secret, "outage")])
    assert found(a1, organisation=nordwind) == []
    check_problem(bearer(a1, organisation=nordwind).get(at(window)), 404)
    mine = bearer(a1, organisation=acme)
    assert "Secret" not in mine.get(at(window)).content.decode()
    assert [row["organisation"] for row in mine.get(at(window, "consents")).json()] == ["acme"]
    theirs = window.consents.get(organisation=cloudia)
    check_problem(mine.post(at(window, f"consents/{theirs.pk}"), {"answer": "given"}), 404)
    actions.enter_freeze(cloudia, starts_at=START, ends_at=END, reason="Theirs", **by(a1, T0))
    assert len(mine.get(FREEZES).json()["results"]) == 0
    given = {"organisation": "cloudia", "starts_at": START, "ends_at": END, "reason": "r"}
    check_problem(mine.post(FREEZES, given), 400)


def test_the_list_makes_the_same_queries_at_1_3_and_50_rows(a1, g1):
    client, counts, rows = bearer(a1), [], 0
    for size in (1, 3, 50):
        for number in range(rows, size):
            _row(g1, number, "announced")
        rows = size
        client.get(WINDOWS)
        with CaptureQueriesContext(connection) as captured:
            assert len(client.get(WINDOWS).json()["results"]) == size
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


def test_customers_read_public_posts_only(a1, g1, g2, running):
    actions.post(running, text="for all", **by(g1, START))
    actions.post(running, text="hush", is_public=False, **by(g1, START))
    assert [row["text"] for row in bearer(a1).get(at(running, "posts")).json()] == ["for all"]
    assert [row["text"] for row in bearer(g1).get(at(running, "posts")).json()] == ["for all", "hush"]


# --- the verbs ---


def test_the_life_of_a_window_by_the_api_alone(g1, g2, clock):
    window = actions.propose(draft(g1), **by(g1, T0))
    one, two = bearer(g1), bearer(g2)
    check_problem(one.post(at(window, "approval")), 403)

    def use(client, noun, status, **data):
        answer = client.post(at(window, noun), data)
        assert (answer.status_code, answer.json().get("status")) == (201, status), answer.content
        return answer.json()

    use(two, "approval", "approved")
    use(one, "announcement", "announced")
    moved = {name: value.isoformat() for name, value in LATER.items()} | {"reason": "A part is late"}
    assert use(one, "move", "announced", **moved)["starts_at"] == "2026-03-11T10:00:00Z"
    check_problem(one.post(at(window, "start")), 409)
    clock.move_to(START + DAY)
    started = use(one, "start", "in_progress")
    for step in started["steps"]:
        use(one, "steps", "in_progress", step=step["id"], is_done=True)
    condition = started["conditions"][0]["id"]
    use(one, "conditions", "in_progress", condition=condition, measured="0.2 %", is_met=False)
    assert bearer(g1).get(at(window, "steps")).json()[0]["is_done"] is True
    assert bearer(g1).get(at(window, "conditions")).json()[0]["state"] == "clear"
    use(one, "decision", "in_progress", decision="go_on", reason="All well")
    until = (END + DAY + HOUR).isoformat()
    use(one, "extension", "in_progress", until=until, reason="Slow")
    check_problem(one.patch(at(window, "extension"), {"is_approved": True}), 403)
    check_problem(two.patch(at(window, "extension"), {"is_approved": False}), 400)
    extended = two.patch(at(window, "extension"), {"is_approved": True})
    assert (extended.status_code, extended.json()["ends_at"]) == (201, "2026-03-11T13:00:00Z")
    use(one, "posts", "in_progress", text="Half")
    use(one, "verification", "verifying")
    done = use(one, "completion", "completed", outcome="All new")
    assert done["outcome"] == "All new"
    channels = window.events.filter(kind__in=["approved", "moved", "ended", "posted"])
    assert set(channels.values_list("channel", flat=True)) == {"api"}


def test_a_rollback_and_a_cancellation(g1, g2, running):
    later = announced(g1, g2, T0, **LATER)
    said = bearer(g1).post(at(running, "rollback"), {"reason": "Too slow"}).json()
    assert said["status"] == "rolling_back"
    check_problem(bearer(g1).post(at(later, "cancellation"), {"reason": " "}), 400)
    assert bearer(g1).post(at(later, "cancellation"), {"reason": "No"}).json()["status"] == "cancelled"


VERBS = {
    "approval": {},
    "announcement": {},
    "move": {name: value.isoformat() for name, value in LATER.items()} | {"reason": "r"},
    "cancellation": {"reason": "r"},
    "start": {},
    "decision": {"decision": "go_on", "reason": "r"},
    "extension": {"until": (END + HOUR).isoformat(), "reason": "r"},
    "rollback": {"reason": "r"},
    "verification": {},
    "completion": {"outcome": "o"},
    "posts": {"text": "t"},
}


def test_staffs_verbs_are_no_customers(a1, a2, b1, g1, g2):
    window = announced(g1, g2)
    more = {
        "steps": {"step": window.steps.first().pk, "is_done": True},
        "conditions": {"condition": window.conditions.first().pk, "measured": "1", "is_met": True},
    }
    for user, status in [(a1, 403), (a2, 403), (b1, 404)]:
        for noun, data in (VERBS | more).items():
            with Writes.noted() as writes:
                check_problem(bearer(user).post(at(window, noun), data), status)
            assert [sql for sql in writes if "maintenance" in sql] == [], noun
    check_problem(bearer(a1).patch(at(window, "extension"), {"is_approved": True}), 403)


def test_a_read_token_reads_and_uses_no_verb(g1, g2, a1):
    window = announced(g1, g2)
    reader = bearer(g1, scope="read")
    assert reader.get(at(window)).status_code == 200
    for noun, data in VERBS.items():
        check_problem(reader.post(at(window, noun), data), 403)
    check_problem(bearer(a1, scope="read").post(FREEZES, {}), 403)


@pytest.mark.parametrize(
    ("noun", "data", "field"),
    [
        ("move", VERBS["move"] | {"starts_at": None}, "starts_at"),
        ("move", VERBS["move"] | {"starts_at": "2026-03-11T10:00:00"}, "starts_at"),
        ("move", VERBS["move"] | {"ends_at": "2026-03-11T09:00:00Z"}, "ends_at"),
        ("move", VERBS["move"] | {"rollback_decision_at": "2026-03-13T09:00:00Z"}, "rollback_decision_at"),
        ("move", VERBS["move"] | {"reason": 7}, "reason"),
        ("cancellation", {"reason": ""}, "reason"),
        ("posts", {"text": ""}, "text"),
        ("posts", {"text": "t", "next_update_at": "0001-01-01T00:00:00Z"}, "next_update_at"),
        ("steps", {"step": 987654, "is_done": True}, "step"),
        ("steps", {"step": 10**30, "is_done": True}, "step"),
        ("steps", {"is_done": True}, "step"),
        ("conditions", {"condition": "x", "measured": "1", "is_met": False}, "condition"),
        ("conditions", {"condition": 1, "measured": "x" * 101, "is_met": False}, "measured"),
    ],
)
def test_wrong_input_is_refused_by_its_field(g1, g2, noun, data, field):
    window = announced(g1, g2)
    said = check_problem(bearer(g1).post(at(window, noun), data), 400)
    assert list(said["errors"]) == [field]


def test_a_step_belongs_to_its_window(g1, g2, running):
    other = draft(g1, **LATER).steps.first()
    said = check_problem(bearer(g1).post(at(running, "steps"), {"step": other.pk, "is_done": True}), 400)
    assert list(said["errors"]) == ["step"]


def test_a_stale_revision_is_told_the_present_one(g1, g2):
    window = announced(g1, g2)
    client = bearer(g1)
    answer = client.post(at(window, "cancellation"), {"reason": "r"}, headers={"X-Revision": "1"})
    said = check_problem(answer, 409)
    assert said["revision"] == window.revision
    for wrong in ("x", "-1", "9" * 20):
        answer = client.post(at(window, "cancellation"), {"reason": "r"}, headers={"X-Revision": wrong})
        check_problem(answer, 400)
    answer = client.post(
        at(window, "cancellation"), {"reason": "r"}, headers={"X-Revision": str(window.revision)}
    )
    assert answer.status_code == 201


def test_a_window_is_changed_by_its_nouns_only(g1, a1, g2):
    window = announced(g1, g2)
    forged = {"status": "completed", "title": "x", "starts_at": T0.isoformat(), "organisation": "nordwind"}
    for user in (a1, g1):
        for method in ("patch", "put", "delete"):
            with Writes.noted() as writes:
                answer = getattr(bearer(user), method)(at(window), forged)
                assert answer.status_code == 405
            assert [sql for sql in writes if "maintenance" in sql] == []
        assert bearer(user).post(WINDOWS, forged).status_code == 405
    bearer(g1).post(at(window, "posts"), forged | {"text": "t", "author": a1.pk, "is_public": True})
    after = MaintenanceWindow.objects.get()
    assert (after.status, after.title) == (window.status, window.title)
    assert after.posts.get().author == g1


# --- consents ---


def test_a_customer_answers_their_own_question(a1, a3, b1, c1, g1, g2):
    window = announced(g1, g2, T0 + 4 * DAY)
    asked = Consent.objects.get(window=window, organisation__name="Acme")
    [row] = bearer(a1).get(at(window, "consents")).json()
    assert (row["id"], row["organisation"], row["reason"], row["state"]) == (
        asked.pk,
        "acme",
        "short_notice",
        "open",
    )
    assert bearer(a1).get(at(window)).json()["is_consent_asked"] is True
    noun = f"consents/{asked.pk}"
    check_problem(bearer(a3).post(at(window, noun), {"answer": "given"}), 403)
    for stranger in (b1, c1):
        check_problem(bearer(stranger).post(at(window, noun), {"answer": "given"}), 404)
    check_problem(bearer(a1).post(at(window, noun), {"answer": "refused"}), 400)
    check_problem(bearer(a1).post(at(window, noun), {"answer": "overridden", "words": "w"}), 403)
    check_problem(bearer(g1).post(at(window, noun), {"answer": "given", "words": "w"}), 403)
    check_problem(bearer(a1).post(at(window, noun), {"answer": "maybe"}), 400)
    assert bearer(a1).post(at(window, noun), {"answer": "given", "words": "Fine"}).status_code == 201
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, asked.channel, asked.words) == ("given", a1, "api", "Fine")
    assert bearer(a1).get(at(window)).json()["is_consent_asked"] is False
    assert [row["organisation"] for row in bearer(c1).get(at(window, "consents")).json()] == ["cloudia"]


def test_a_duty_manager_overrides_with_a_reason(g1, g2, m1):
    window = announced(g1, g2, T0 + 4 * DAY)
    asked = Consent.objects.get(window=window, organisation__name="Acme")
    noun = f"consents/{asked.pk}"
    check_problem(bearer(m1).post(at(window, noun), {"answer": "overridden"}), 400)
    answer = bearer(m1).post(at(window, noun), {"answer": "overridden", "words": "Security fix"})
    assert answer.status_code == 201
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("overridden", m1)


def test_a_consent_belongs_to_its_window(a1, g1, g2):
    window, other = announced(g1, g2, T0 + 4 * DAY), announced(g1, g2, T0 + 4 * DAY, **LATER)
    asked = other.consents.get(organisation__name="Acme")
    check_problem(bearer(a1).post(at(window, f"consents/{asked.pk}"), {"answer": "given"}), 404)


# --- freezes ---

FREEZE = {"starts_at": START.isoformat(), "ends_at": END.isoformat(), "reason": "Quarter end"}


def test_freezes_are_entered_read_and_withdrawn(a1, a3, c1, g1, acme):
    check_problem(bearer(a3).post(FREEZES, FREEZE), 403)
    said = bearer(a1).post(FREEZES, FREEZE | {"service": "inference-api"}).json()
    assert (said["organisation"], said["service"], said["reason"]) == ("acme", "inference-api", "Quarter end")
    address = f"{FREEZES}{said['id']}/"
    assert len(bearer(a3).get(FREEZES).json()["results"]) == 1
    assert len(bearer(c1).get(FREEZES).json()["results"]) == 0
    check_problem(bearer(c1).get(address), 404)
    check_problem(bearer(c1).post(f"{address}withdrawal/"), 404)
    check_problem(bearer(a3).post(f"{address}withdrawal/"), 403)
    assert bearer(a1).post(f"{address}withdrawal/").json()["withdrawn_at"] is not None
    check_problem(bearer(a1).post(f"{address}withdrawal/"), 409)
    by_phone = bearer(g1).post(FREEZES, FREEZE | {"organisation": "acme"})
    assert by_phone.status_code == 201
    check_problem(bearer(g1).post(FREEZES, FREEZE), 400)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"organisation": "nordwind"}, "organisation"),
        ({"service": "only-theirs"}, "service"),
        ({"service": "no-such"}, "service"),
        ({"ends_at": T0.isoformat()}, "ends_at"),
        ({"starts_at": "2026-03-10T10:00:00"}, "starts_at"),
        ({"reason": ""}, "reason"),
        ({"reason": "\0"}, "reason"),
    ],
)
def test_a_wrong_freeze_is_refused_by_its_field(a1, nordwind, wrong, field):
    theirs = Service.objects.create(name="Only theirs", slug="only-theirs")
    ServiceSubscription.objects.create(organisation=nordwind, service=theirs)
    said = check_problem(bearer(a1).post(FREEZES, FREEZE | wrong), 400)
    assert list(said["errors"]) == [field]
    assert not Freeze.objects.exists()


def test_what_is_theirs_is_refused_as_what_is_nobodys(a1, nordwind):
    theirs = Service.objects.create(name="Only theirs", slug="only-theirs")
    ServiceSubscription.objects.create(organisation=nordwind, service=theirs)
    for field, known in [("service", "only-theirs"), ("organisation", "nordwind")]:
        said = [
            bearer(a1).post(FREEZES, FREEZE | {field: word}).content.decode() for word in (known, "no-such")
        ]
        assert said[0].replace(known, "no-such") == said[1]


def test_a_freeze_on_a_service_of_my_other_organisation_is_refused(a1, nordwind):
    theirs = Service.objects.create(name="Only theirs", slug="only-theirs")
    ServiceSubscription.objects.create(organisation=nordwind, service=theirs)
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    said = check_problem(
        bearer(a1).post(FREEZES, FREEZE | {"organisation": "acme", "service": "only-theirs"}), 400
    )
    assert list(said["errors"]) == ["service"]


def test_the_freezes_make_the_same_queries_at_1_3_and_50_rows(a1, acme):
    client, counts, rows = bearer(a1), [], 0
    for size in (1, 3, 50):
        for _number in range(rows, size):
            Freeze.objects.create(
                organisation=acme, service=service(), starts_at=START, ends_at=END, reason="r", entered_by=a1
            )
        rows = size
        client.get(FREEZES)
        with CaptureQueriesContext(connection) as captured:
            client.get(FREEZES)
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


# --- the schema ---


def test_the_schema_names_every_noun(a1):
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    nouns = [*VERBS, "steps", "conditions", "consents", "consents/{consent}"]
    for noun in nouns:
        assert f"{WINDOWS}{{reference}}/{noun}/" in paths, noun
    assert {f"{FREEZES}{{freeze}}/", f"{FREEZES}{{freeze}}/withdrawal/"} <= set(paths)
    named = {parameter["name"] for parameter in paths[WINDOWS]["get"]["parameters"]}
    assert {"status", "service", "from", "until"} <= named
    json.dumps(paths, default=str)


def test_nobody_without_a_token_comes_in(client, g1, g2):
    window = announced(g1, g2)
    for address in (WINDOWS, at(window), FREEZES, at(window, "consents")):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_closed_window_answers_409_with_what_to_do(g1, g2, running):
    check_all(running, g1, START)
    actions.begin_verification(running, **by(g1, START))
    actions.complete(running, outcome="done", **by(g1, START))
    said = check_problem(bearer(g1).post(at(running, "rollback"), {"reason": "r"}), 409)
    assert said["detail"]
    assert Organisation.objects.count() == 3
