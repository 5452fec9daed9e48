"""The communication plan in plain words: short sentences from the plan's rows, and no names of staff."""

import pytest
from django.utils import translation

from incidents.defaults import DEFAULT_TARGETS, plan_for
from incidents.escalation import Step, Stop
from incidents.models import SLATarget
from incidents.models.plans import STANDARD_RULES, STANDARD_STEPS, Rule
from incidents.promise_words import communication_words, contact_words, major_words
from portal.models import Endpoint
from tests import factories
from tests.conftest import T0


@pytest.fixture(autouse=True)
def _english():
    """Whatever language an earlier test left behind."""
    with translation.override("en"):
        yield


TARGETS = [SLATarget(**target) for target in DEFAULT_TARGETS]
BOTH = ("email", "webhook")


SLACK = Endpoint(name="Acme's room", use="channel", service="slack")


def words(level, rules=(), steps=(), targets=TARGETS, room=SLACK):
    found = communication_words(level, rules, steps, targets, room=room)
    return [sentence for _heading, sentences in found for sentence in sentences]


def test_who_hears_is_said_once_for_all_topics_that_reach_the_same_people():
    rules = [
        Rule("P1", "receipt", "reporter"),
        Rule("P1", "solution", "reporter"),
        Rule("P2", "answer", "room"),
    ]
    said = words("P1", rules)
    assert said[0] == "The reporter, by e-mail: the receipt of a report and the solution."
    assert not any("your own channel" in sentence for sentence in said)


def test_channels_are_named_in_their_order_and_only_where_they_lead_somewhere():
    rules = [Rule("P1", "receipt", "reporter", BOTH), Rule("P1", "lateness", "room", ("webhook",))]
    assert words("P1", rules)[:2] == [
        "The reporter, by e-mail, or Slack if that fails: the receipt of a report.",
        "Your own channel (Slack): whatever is late.",
    ]
    assert words("P1", rules, room=None)[0] == "The reporter, by e-mail: the receipt of a report."
    assert "by e-mail and Slack at once" in words("P1", [Rule("P1", "level", "reporter", BOTH, True)])[0]


def test_the_interval_of_updates_comes_from_the_targets():
    assert "You get a status update every 30 minutes, around the clock, until resolved." in words("P1")
    assert "You get a status update every 4 business hours, until resolved." in words("P2")
    assert "You get a status update when something changes." in words("P3")


def test_who_is_called_when_how_often_and_until_what():
    steps = [
        Step("P1", "first_response", "duty_manager", repeat_minutes=5, max_pages=12),
        Step("P1", "first_response", "owner", after_minutes=20),
        Step("P1", "first_response", "backup", percent=80),
        Step("P1", "first_response", "duty_manager", percent=80),
        Step("P1", "target_action", "head_of_support", repeat_minutes=30, max_pages=4, stop=Stop.DELIVERED,
             makes_major=True),
        Step("P1", "target_action", "escalation_contacts"),
        Step("P2", "target_action", "team"),
    ]  # fmt: skip
    assert words("P1", steps=steps)[2:] == [
        "At 80 % of the time for the first response we call the backup and the duty manager.",
        "When the first response is late we call the duty manager.",
        "The duty manager is called every 5 minutes, 12 times at most, until somebody takes the incident up.",
        "20 minutes after the first response was due we call the owner.",
        "When the target action is late we call the head of support.",
        "The head of support is called every 30 minutes, 4 times at most, until it is delivered.",
        "It is then a major incident.",
        "When the target action is late we tell your escalation contacts.",
    ]


def test_every_step_and_customers_rule_of_the_standard_is_said():
    for level in ("P1", "P2", "P3"):
        said = " ".join(words(level, STANDARD_RULES, STANDARD_STEPS))
        for moment in ("At 80 %", "is late we call"):
            assert moment in said, level
        assert "the whole support team" not in said  # a rule of our side is nothing that customers hear


def test_what_makes_an_incident_major_is_named():
    said = major_words(STANDARD_STEPS)
    assert "P1 becomes one when the target action is late." in said
    assert len(major_words([])) == len(said) - 1


def test_escalation_contacts_are_the_named_or_else_the_managers(acme, a1, a2):
    assert contact_words(acme)[0] == f"Your escalation contacts: {a2}."
    a1.memberships.update(is_escalation_contact=True)
    assert contact_words(acme)[0] == f"Your escalation contacts: {a1}."


def test_an_organisation_without_anybody_to_call_is_told_so(acme, a1):
    assert "Tell us whom to call." in contact_words(acme)[0]


def test_the_page_shows_the_plan_and_no_member_of_staff(client, a1, g1, m1, b1, acme, nordwind):
    plan_for(acme, T0)
    client.force_login(a1)
    page = client.get("/sla/").content.decode()
    assert "At 50 % of the time for the first response we call whoever is on call." in page
    assert "A duty manager can declare any incident to be one." in page
    for person in (g1, m1, b1):
        assert person.name not in page
        assert person.email not in page


def test_the_page_says_whether_the_dedicated_channel_is_there(acme, client, a1):
    def said():
        client.force_login(a1)
        return client.get("/sla/").content.decode()

    plan = plan_for(acme, T0)
    assert "dedicated channel" not in said()
    plan.has_dedicated_channel = True
    plan.save()
    assert "Your plan has a dedicated channel, but none is set up" in said()
    factories.channel(acme, "teams")
    assert "Your dedicated channel: Microsoft Teams. Should it fail, you hear by e-mail." in said()
    assert "your own channel (Microsoft Teams): " in said()
