"""Who hears of a bridge, by which mail, and who does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import actions, notify
from incidents.bridge_sweep import sweep_bridges
from incidents.models import Shift, SupportPlan
from portal import outbox
from portal.models import Endpoint, OutboxMessage
from tests import factories
from tests.conftest import T0


def after(minutes: float):
    return T0 + timedelta(minutes=minutes)


BY_PAGE = {"channel": "bridge"}


@pytest.fixture
def p1(a1):
    made = factories.incident(a1, T0)
    SupportPlan.objects.filter(organisation=made.organisation).update(has_bridge=True)
    return made


@pytest.fixture
def bridge(p1, g1):
    return actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)


def told(kind: str):
    return {message.recipient or message.endpoint for message in OutboxMessage.objects.filter(kind=kind)}


@pytest.fixture
def duty(g1, m1):
    for person, role in ((g1, "on_call"), (m1, "duty_manager")):
        Shift.objects.create(person=person, role=role, from_at=T0, until_at=after(600))


def test_both_sides_are_called_to_the_bridge(p1, a1, a2, g1, g2, m1, duty):
    Endpoint.objects.create(name="Pager", person=m1, url="https://pager.example.com/x")
    actions.assign(p1, assignee=g2, by=g1, now=after(1), channel="admin")
    actions.open_bridge(p1, by=a1, now=after(2), **BY_PAGE)
    assert told("bridge_opened") == {a1, a2}
    assert told("staff_bridge_opened") == {g1, g2, m1}
    pages = OutboxMessage.objects.filter(kind="staff_bridge_opened", recipient=m1)
    assert sorted(pages.values_list("channel", flat=True)) == ["email", "webhook"]


def test_the_staff_member_who_opened_it_is_not_called(p1, g1, m1, duty):
    actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    assert told("staff_bridge_opened") == {m1}


def test_the_mails_lead_to_the_bridge_and_the_conference(p1, a1, g1, m1, duty, mailoutbox):
    SupportPlan.objects.update(conference_template="https://meet.example.com/{key}")
    bridge = actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    outbox.sweep(after(3))
    mails = [mail for mail in mailoutbox if "bridge is open" in mail.subject]
    assert {mail.to[0] for mail in mails} == {"a1@acme.example", m1.email}
    for mail in mails:
        assert mail.subject.startswith(f"[{p1.reference}] ")
        assert f"/incidents/{p1.reference}/bridge/" in mail.body
        assert bridge.conference_url in mail.body
        assert bridge.conference_url in str(mail.alternatives)


def test_a_room_is_told_without_the_conference(p1, g1, acme):
    SupportPlan.objects.update(conference_template="https://meet.example.com/{key}")
    room = factories.channel(acme)
    bridge = actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    message = OutboxMessage.objects.get(kind="bridge_opened", recipient=None)
    assert message.endpoint == room
    rendered = notify.render(message)
    assert bridge.conference_url not in str(rendered)
    assert f"/incidents/{p1.reference}/bridge/" in str(rendered)


def test_nobody_is_called_to_a_closed_bridge(p1, bridge, g1, mailoutbox):
    actions.close_bridge(bridge, summary="False alarm", by=g1, now=after(2), **BY_PAGE)
    outbox.sweep(after(3))
    subjects = [mail.subject for mail in mailoutbox]
    assert not any("bridge is open" in subject for subject in subjects)
    assert any("bridge is closed" in subject for subject in subjects)


def test_the_summary_is_mailed_as_from_whoever_closed_it(p1, bridge, a1, g1, mailoutbox):
    actions.side_note(bridge, text="They pay late", by=g1, now=after(4), **BY_PAGE)
    actions.close_bridge(bridge, summary="The disk is **new**.", by=g1, now=after(9), **BY_PAGE)
    assert told("bridge_closed") == {a1}
    outbox.sweep(after(10))
    mail = next(mail for mail in mailoutbox if "bridge is closed" in mail.subject)
    assert notify.render(OutboxMessage.objects.get(kind="bridge_closed")).from_name.startswith("Gül One (")
    assert "The disk is new." in mail.body
    assert "<strong>new</strong>" in str(mail.alternatives)
    assert "pay late" not in f"{mail.body} {mail.alternatives}"


def test_where_nobody_closed_it_the_mail_says_so(p1, bridge, a1, g1, mailoutbox):
    actions.decide_on_bridge(bridge, text="Fail over", by=g1, now=after(3), **BY_PAGE)
    actions.resolve(p1, by=g1, now=after(5), channel="admin", cause="Disk", remedy="New disk")
    sweep_bridges(after(60))
    outbox.sweep(after(61))
    mail = next(mail for mail in mailoutbox if "bridge is closed" in mail.subject)
    assert "Nobody wrote a summary" in mail.body
    assert "Fail over" in mail.body
    assert OutboxMessage.objects.get(kind="bridge_closed").is_automatic


def test_a_steps_owner_who_is_away_gets_one_mail(p1, bridge, a1, a2, g1, g2, mailoutbox):
    agree = {"due_at": after(90), "by": g1, "now": after(4), **BY_PAGE}
    actions.join_bridge(bridge, by=a1, now=after(3))
    for owner in (a1, g1):  # there, or the one who agreed it
        actions.agree_step(bridge, text="Near", owner=owner, **agree)
    for owner in (a2, g2):
        actions.agree_step(bridge, text=f"Far {owner}", owner=owner, **agree)
    assert (told("bridge_step_given"), told("staff_bridge_step_given")) == ({a2}, {g2})
    outbox.sweep(after(5))
    mails = {mail.to[0]: mail for mail in mailoutbox if "next step" in mail.subject}
    assert "Far Ali Two" in mails[a2.email].body
    assert "14:30 UTC+3" in mails[a2.email].body


def test_a_step_that_is_done_is_not_mailed(p1, bridge, a2, g1, mailoutbox):
    step = actions.agree_step(bridge, text="X", owner=a2, due_at=after(90), by=g1, now=after(4), **BY_PAGE)
    actions.finish_step(step, by=g1, now=after(4), **BY_PAGE)
    outbox.sweep(after(5))
    assert not any("next step" in mail.subject for mail in mailoutbox)


def test_words_parts_and_steps_are_read_live_and_mailed_to_nobody(p1, bridge, a1, g1, g2):
    before = OutboxMessage.objects.count()
    actions.note_on_bridge(bridge, text="A", by=a1, now=after(3), **BY_PAGE)
    actions.decide_on_bridge(bridge, text="B", by=a1, now=after(3), **BY_PAGE)
    actions.side_note(bridge, text="C", by=g1, now=after(3), **BY_PAGE)
    actions.give_part(bridge, role="scribe", person=g2, by=g1, now=after(3), **BY_PAGE)
    step = actions.agree_step(bridge, text="D", owner=g1, due_at=after(9), by=g1, now=after(3), **BY_PAGE)
    actions.finish_step(step, by=g1, now=after(4), **BY_PAGE)
    assert OutboxMessage.objects.count() == before


def test_another_organisation_hears_nothing(p1, bridge, b1, g1):
    factories.incident(b1, T0)
    actions.close_bridge(bridge, summary="Done", by=g1, now=after(9), **BY_PAGE)
    assert not OutboxMessage.objects.filter(recipient=b1, kind__contains="bridge").exists()
