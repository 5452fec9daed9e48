"""The dedicated channel end to end: real local receivers that check what each service documents, and answers from there."""

import pytest
from django.core import mail

from incidents.intake import held
from incidents.models import CommunicationRule, InboundMessage, Incident
from portal.models import ChatIdentity, DeliveryAttempt, Endpoint, OutboxMessage
from tests import chat_senders
from tests.chat_senders import ROOM, event, knows, post, slack
from tests.journeys.stage import browser_of, heard, mails_to
from tests.journeys.test_scenario_1 import check_proof, reported
from tests.webhook_sink import Sink

TOKEN = "xoxb-hush"


@pytest.fixture
def sinks(tmp_path, settings):
    """Makes receivers; each is let through the guard by its own host and port."""
    made = []

    def make(**options):
        sink = Sink(0, tmp_path / f"sink-{len(made)}", **options).__enter__()
        made.append(sink)
        settings.WEBHOOK_ALLOWED_HOSTS = [*settings.WEBHOOK_ALLOWED_HOSTS, sink.host]
        return sink

    yield make
    for sink in made:
        sink.__exit__()


@pytest.fixture
def workspace(sinks, acme):
    """Acme's Slack, where its bot posts in threads and its app listens."""
    sink = sinks(service="slack", token=TOKEN, room=ROOM)
    sink.endpoint = chat_senders.channel(acme, url=sink.url, access_token=TOKEN)
    return sink


def thread_of(sink, number=0) -> str:
    return sorted(sink.threads)[number]


def test_a_p1_is_told_in_a_thread_and_an_answer_there_becomes_a_reply(stage, workspace, a1, a2, b1, g1, g2):
    endpoint = workspace.endpoint
    knows(endpoint, "U0ADA", a1)
    reference = reported(stage, a1)
    [receipt] = workspace.received()
    assert receipt["body"]["channel"] == ROOM
    assert reference in receipt["body"]["text"]
    assert f"/incidents/{reference}/" in str(receipt["body"])
    assert "thread_ts" not in receipt["body"]
    assert len(mails_to(a1)) == 1  # the mail goes out as well

    stage.at(6)
    stage.do("validate_level", g2, reference, level="P1", reason="Down for all.")
    update = {"condition": "in_progress", "summary": "Node 2 <drained>", "next_update_at": stage.time(36)}
    stage.do("publish_status_update", g2, reference, **update)
    told = workspace.received()[-1]["body"]
    assert told["thread_ts"] == thread_of(workspace)
    assert "Node 2 &lt;drained&gt;" in str(told)
    assert "13:36 UTC+3" in str(told)  # when the next one comes, in the organisation's zone

    stage.do("ask_customer", g2, reference, text="Which region?")
    assert stage.read(a1, reference)["status"] == "waiting_for_customer"
    stage.at(9)
    said = event("Only <@U0BOB>’s: *eu-west*", thread_ts=thread_of(workspace))
    assert slack(endpoint, said, secret="forged").status_code == 401
    assert not InboundMessage.objects.filter(kind="chat").exists()
    before = len(workspace.received())
    assert slack(endpoint, said).status_code == 200
    assert slack(endpoint, said, X_Slack_Retry_Num="1").status_code == 200
    stage.at(10)
    read = stage.read(a1, reference)
    assert read["status"] == "acknowledged"
    [words] = [e for e in stage.events(a1, reference) if e["kind"] == "customer_replied"]
    assert (words["channel"], stage.minute(words["at"])) == ("chat", 9)
    page = stage.page(a1, reference)
    assert "eu-west" in page
    assert "Dedicated channel" in page
    assert len(workspace.received()) == before  # nothing echoes
    assert mails_to(g2)[-1].subject.startswith(f"[{reference}]")
    check_proof(stage, reference, (a1, a2), b1)


def test_whoever_is_unknown_there_is_held_and_known_afterwards(stage, workspace, a1, a2, b1, g1):
    reference = reported(stage, a1)
    endpoint = workspace.endpoint
    stage.at(3)
    assert (
        slack(endpoint, event("It is worse.", user="U0NEW", thread_ts=thread_of(workspace))).status_code
        == 200
    )
    stage.at(4)
    [row] = InboundMessage.objects.filter(kind="chat")
    assert (row.state, row.incident.reference) == ("held", reference)
    assert "It is worse." not in stage.page(a1, reference)
    incident = Incident.objects.by_reference(reference).get()
    held.add_reply(row, incident=incident, person=a2, by=g1, now=stage.time(5), is_remembered=True)
    assert ChatIdentity.objects.get().person == a2
    stage.at(6)
    assert (
        slack(endpoint, event("Even worse.", user="U0NEW", thread_ts=thread_of(workspace))).status_code == 200
    )
    stage.at(7)
    written = incident.messages.filter(channel="chat").order_by("pk")
    assert [(m.author, m.text, stage.minute(m.received_at.isoformat())) for m in written] == [
        (a2, "It is worse.", 3),
        (a2, "Even worse.", 6),
    ]
    check_proof(stage, reference, (a1, a2), b1)


def test_the_channel_is_down_so_its_people_get_the_mail_and_the_record_shows_it(
    stage, sinks, acme, a1, a2, b1, g2
):
    sink = sinks(status=503)
    chat_senders.channel(acme, "webhook", url=sink.url, signing_secret="", room_id="")
    for rule in CommunicationRule.objects.filter(level="P1", topic="status_update").exclude(role="room"):
        rule.delete()  # this plan has the channel only
    reference = reported(stage, a1)
    stage.at(6)
    before = len(mail.outbox)
    stage.do("publish_status_update", g2, reference, condition="in_progress", summary="Node 2 drained")
    assert heard(before, a1, a2)
    waiting = OutboxMessage.objects.get(kind="status_update", channel="webhook")
    assert (waiting.state, waiting.instead) == ("queued", [])  # handed on, and still tried
    [attempt] = DeliveryAttempt.objects.filter(message=waiting)
    assert (attempt.is_accepted, attempt.answer.startswith("503")) == (False, True)
    assert Endpoint.objects.get(use="channel").failing_since == stage.time(0)
    assert [c["state"] for c in stage.clocks(a1, reference, "status_update")] == ["met", "running"]
    check_proof(stage, reference, (a1, a2), b1)


def test_by_the_channel_alone_an_update_counts(stage, workspace, a1, g2):
    reference = reported(stage, a1)
    CommunicationRule.objects.filter(level="P1", topic="status_update").exclude(role="room").delete()
    stage.at(6)
    before = len(mail.outbox)
    stage.do("publish_status_update", g2, reference, condition="in_progress", summary="Node 2 drained")
    assert mail.outbox[before:] == []
    assert [c["state"] for c in stage.clocks(a1, reference, "status_update")] == ["met", "running"]


@pytest.mark.parametrize("service", ["mattermost", "teams"])
def test_the_other_services_take_what_we_send(stage, sinks, acme, a1, g2, service):
    sink = sinks(service=service, **({"token": TOKEN, "room": ROOM} if service == "mattermost" else {}))
    token = {"access_token": TOKEN} if service == "mattermost" else {"signing_secret": "", "room_id": ""}
    chat_senders.channel(acme, service, url=sink.url, **token)
    reference = reported(stage, a1)
    stage.at(6)
    stage.do("publish_status_update", g2, reference, condition="in_progress", summary="Node 2 drained @all")
    bodies = [received["body"] for received in sink.received()]
    assert len(bodies) == 2
    assert "Node 2 drained" in str(bodies[1])
    assert all(f"/incidents/{reference}/" in str(body) for body in bodies)
    if service == "mattermost":
        assert bodies[1]["root_id"] == thread_of(sink)


def test_an_answer_in_mattermost_becomes_a_reply_and_a_forged_one_nothing(stage, sinks, acme, a1, a2, b1):
    sink = sinks(service="mattermost", token=TOKEN, room=ROOM)
    endpoint = chat_senders.channel(acme, "mattermost", url=sink.url, access_token=TOKEN)
    knows(endpoint, "uada", a1)
    reference = reported(stage, a1)
    stage.at(3)
    said = post(f"{reference}: It is worse.")
    assert chat_senders.mattermost(endpoint, said | {"token": "forged"}).status_code == 401
    assert chat_senders.mattermost(endpoint, said).status_code == 200
    stage.at(4)
    [written] = Incident.objects.by_reference(reference).get().messages.filter(channel="chat")
    assert (written.author, written.text) == (a1, "It is worse.")
    check_proof(stage, reference, (a1, a2), b1)


def test_staff_read_beside_an_update_whom_it_reached_and_customers_do_not(stage, workspace, a1, a2, g2):
    reference = reported(stage, a1)
    stage.at(6)
    workspace.says = [(200, {"ok": False, "error": "channel_not_found"})]
    stage.do("publish_status_update", g2, reference, condition="in_progress", summary="Node 2 drained")
    desk = (
        browser_of(g2).get(Incident.objects.by_reference(reference).get().get_absolute_url()).content.decode()
    )
    assert "2 of 3 messages accepted" in desk
    assert "channel_not_found" in desk
    assert "messages accepted" not in stage.page(a1, reference)
