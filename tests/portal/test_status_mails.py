"""Mail about changed states: once each, late or often, true when it goes out, and nothing of another's."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import outbox, status_mails
from portal.models import Membership, OutboxMessage, Service, ServiceImpact, StatusSubscription
from portal.tasks import tell_status
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY


@pytest.fixture
def api(acme):
    return Service.objects.get(slug="inference-api")


@pytest.fixture
def at(settings):
    """Moves the clock to minutes after T0."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with time_machine.travel(T0, tick=False) as clock:
        yield lambda minutes: clock.move_to(T0 + timedelta(minutes=minutes))


def felt(organisation, service, impact="outage", minutes=0, **more):
    return ServiceImpact.objects.create(
        service=service,
        organisation=organisation,
        impact=impact,
        from_at=T0 + timedelta(minutes=minutes),
        source="INC-1999",
        **more,
    )


def over(row, minutes):
    ServiceImpact.objects.filter(pk=row.pk).update(until_at=T0 + timedelta(minutes=minutes))


def ask(person, organisation, service):
    status_mails.subscribe(person, organisation, service, now=T0)


def tell(times=1):
    return [tell_status() for _ in range(times)]


def send():
    return outbox.sweep(timezone.now(), channel="email")


def told():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


# --- subscribing ---


def test_a_member_subscribes_and_unsubscribes(client, a3, acme, api, at):
    client.force_login(a3)  # a viewer, too
    address = "/status/inference-api/subscription/"
    assert "Mail me when this changes" in client.get("/status/").content.decode()
    for _ in range(2):
        answer = client.post(address, {"organisation": "acme", "wanted": "yes"})
        assert (answer.status_code, answer.url) == (302, "/status/inference-api/")
    row = StatusSubscription.objects.get()
    assert (row.person, row.organisation, row.service, row.told_impact) == (a3, acme, api, "none")
    assert "No more mail about changes" in client.get("/status/").content.decode()
    assert "No more mail about changes" in client.get(address).content.decode()
    assert StatusSubscription.objects.count() == 1  # a GET of the mail's link changes nothing
    client.post(address, {"organisation": "acme", "wanted": "no"})
    assert StatusSubscription.objects.count() == 0


def test_nobody_subscribes_to_what_is_not_theirs(client, a1, g1, acme, nordwind, api, at):
    own = Service.objects.create(name=f"Only {CANARY}", slug="only-theirs")
    nordwind.subscriptions.create(service=own)
    for person, service, organisation in [
        (a1, "inference-api", "nordwind"),
        (a1, "only-theirs", "nordwind"),
        (a1, "only-theirs", "acme"),
        (a1, "inference-api", ""),
        (g1, "inference-api", "acme"),
    ]:
        client.force_login(person)
        data = {"organisation": organisation, "wanted": "yes"}
        assert client.post(f"/status/{service}/subscription/", data).status_code == 404
    assert StatusSubscription.objects.count() == 0
    client.logout()
    answer = client.post("/status/inference-api/subscription/", {"organisation": "acme", "wanted": "yes"})
    assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/accounts/login/")


def test_the_post_needs_its_token(a1, at):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(a1)
    data = {"organisation": "acme", "wanted": "yes"}
    assert strict.post("/status/inference-api/subscription/", data).status_code == 403


# --- telling ---


def test_a_change_is_one_mail_with_the_state_in_its_subject(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    felt(acme, api, "degraded")
    at(1)
    assert tell(3) == [1, 0, 0]
    send(), send()
    [mail] = mailoutbox
    assert mail.subject == "Inference API: degraded since Tue 3 Mar 2026, 13:00 UTC+3"
    assert mail.to == [a1.email]
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"
    text = mail.body
    assert "/status/inference-api/subscription/" in text
    assert "Acme" in text
    assert "INC-" not in text
    row = StatusSubscription.objects.get()
    assert (row.told_impact, row.told_at) == ("degraded", T0 + timedelta(minutes=1))


def test_each_step_of_a_state_is_told(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    window = felt(acme, api, "outage", is_planned=True)
    at(1), tell(), send()
    over(window, 60)
    overrun = felt(acme, api, "outage", 60)
    at(61), tell(), send()
    over(overrun, 90)
    at(91), tell(), send()
    subjects = [mail.subject.partition(" since")[0] for mail in mailoutbox]
    assert subjects == ["Inference API: maintenance", "Inference API: outage", "Inference API: working again"]
    assert "Felt of it: Outage" in mailoutbox[0].body
    assert mailoutbox[2].subject.endswith("14:30 UTC+3")


def test_what_came_and_went_between_two_sweeps_is_nobody_s_mail(a1, acme, api, at):
    ask(a1, acme, api)
    over(felt(acme, api), 5)
    at(360)
    assert tell(3) == [0, 0, 0]
    assert told() == []


def test_a_late_sweep_tells_the_present_state_only(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    over(felt(acme, api), 60)
    felt(acme, api, "degraded", 60)
    at(360)
    tell(3), send()
    assert [mail.subject for mail in mailoutbox] == [
        "Inference API: degraded since Tue 3 Mar 2026, 14:00 UTC+3"
    ]


def test_flapping_before_the_mail_goes_out_ends_in_the_truth(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    row = felt(acme, api)
    tell()
    over(row, 0)
    at(0.1), tell()
    send()
    assert (mailoutbox, told()) == ([], ["dropped", "dropped"])  # nothing has changed for the reader
    felt(acme, api, "outage", 0.2)
    at(0.3), tell(2), send()
    assert [mail.subject.partition(" since")[0] for mail in mailoutbox] == ["Inference API: outage"]


def test_flapping_after_a_mail_went_out_tells_the_last_state(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    row = felt(acme, api)
    tell(), send()
    over(row, 1)
    at(1), tell()
    second = felt(acme, api, "outage", 1)
    at(1.1), tell(), send()
    assert len(mailoutbox) == 1  # an outage again, which is what was told last
    over(second, 2)
    at(2), tell(), send()
    assert [m.subject.partition(" since")[0] for m in mailoutbox] == [
        "Inference API: outage",
        "Inference API: working again",
    ]


def test_where_an_earlier_mail_may_have_arrived_the_truth_is_sent(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    row = felt(acme, api)
    tell()
    OutboxMessage.objects.update(state="claimed", attempts=1, lease_until=T0 + timedelta(hours=1))
    over(row, 0)
    at(1), tell(), send()
    assert [mail.subject.partition(" since")[0] for mail in mailoutbox] == ["Inference API: working again"]


def test_the_state_is_looked_at_again_when_the_mail_goes_out(a1, acme, api, at, mailoutbox):
    ask(a1, acme, api)
    row = felt(acme, api)
    tell()
    over(row, 0)
    at(1), send()
    assert (mailoutbox, told()) == ([], ["dropped"])
    assert OutboxMessage.objects.get().state_reason == "the state has changed again"
    tell(), send()
    assert mailoutbox == []


@pytest.mark.parametrize("what", ["unsubscribed", "left", "inactive organisation", "no service", "inactive"])
def test_whoever_may_not_hear_any_more_does_not(a1, acme, api, at, mailoutbox, what):
    ask(a1, acme, api)
    felt(acme, api)
    tell()
    if what == "unsubscribed":
        status_mails.unsubscribe(a1, acme, api)
    if what == "left":
        Membership.objects.all().delete()
    if what == "inactive organisation":
        acme.is_active = False
        acme.save()
    if what == "no service":
        acme.subscriptions.all().delete()
    if what == "inactive":
        a1.is_active = False
        a1.save()
    send()
    assert (mailoutbox, told()) == ([], ["dropped"])
    ServiceImpact.objects.update(until_at=T0)
    at(1)
    assert tell() == [0]


def test_another_organisation_s_state_is_never_told(a1, b1, acme, nordwind, api, at, mailoutbox):
    harbor = factories.organisation("Harbor")
    c1 = factories.person("c1@harbor.example", "Cy", harbor, "member")
    for person, of in ((a1, acme), (b1, nordwind), (c1, harbor)):
        ask(person, of, api)
    felt(nordwind, api, "outage")
    felt(harbor, api, "degraded")
    tell(2), send()
    by = {mail.to[0]: f"{mail.subject} {mail.body} {mail.alternatives[0][0]}" for mail in mailoutbox}
    assert set(by) == {b1.email, c1.email}
    assert "outage" in by[b1.email]
    assert "degraded" not in by[b1.email]
    for word in ("Acme", "Nordwind", "outage", CANARY):
        assert word not in by[c1.email]


def test_a_person_of_two_organisations_hears_of_each_apart(a1, acme, nordwind, api, at, mailoutbox):
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    ask(a1, acme, api), ask(a1, nordwind, api)
    felt(acme, api, "outage"), felt(nordwind, api, "degraded")
    tell(), send()
    states = {("Acme" in m.body, "Nordwind" in m.body): m.subject.split()[2] for m in mailoutbox}
    assert states == {(True, False): "outage", (False, True): "degraded"}


def test_subscribing_during_an_outage_tells_its_end(a1, acme, api, at, mailoutbox):
    row = felt(acme, api)
    ask(a1, acme, api)
    assert tell() == [0]
    over(row, 5)
    at(5), tell(), send()
    assert [mail.subject.partition(" since")[0] for mail in mailoutbox] == ["Inference API: working again"]


def test_two_processes_that_saw_the_same_change_tell_it_once(a1, acme, api, at):
    ask(a1, acme, api)
    felt(acme, api)
    pk = StatusSubscription.objects.get().pk
    later = T0 + timedelta(seconds=1)
    assert [status_mails.tell(pk, T0), status_mails.tell(pk, later)] == [True, False]
    assert len(told()) == 1


def test_what_one_person_was_told_is_not_what_another_knows(a1, b1, acme, nordwind, api, at, mailoutbox):
    ask(a1, acme, api), ask(b1, nordwind, api)
    felt(nordwind, api)
    tell(), send()
    felt(acme, api, "outage", 1)
    at(1), tell(), send()
    assert [mail.to for mail in mailoutbox] == [[b1.email], [a1.email]]


def test_one_trouble_does_not_stop_the_others(a1, a2, acme, api, at, monkeypatch, caplog):
    ask(a1, acme, api), ask(a2, acme, api)
    felt(acme, api)
    first, real = StatusSubscription.objects.order_by("pk")[0].pk, status_mails.tell

    def broken(pk, now):
        if pk == first:
            raise RuntimeError("broken")
        return real(pk, now)

    monkeypatch.setattr(status_mails, "tell", broken)
    assert tell() == [1]
    assert f"status subscription {first}" in caplog.text


def test_the_sweep_s_queries_do_not_grow_with_what_is_not_due(acme, api, at):
    counts = []
    felt(acme, api)
    for size in (1, 3, 30):
        for number in range(size):
            ask(factories.person(f"p{size}-{number}@acme.example", "P", acme, "viewer"), acme, api)
        tell()
        with CaptureQueriesContext(connection) as captured:
            assert tell() == [0]
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


def test_the_sweep_by_hand_tells_too(a1, acme, api, at, mailoutbox, capsys):
    ask(a1, acme, api)
    felt(acme, api)
    call_command("sweep")
    assert "service states told: 1" in capsys.readouterr().out
    assert len(mailoutbox) == 1
