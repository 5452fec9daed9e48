"""The communication plan on the desk: one choice for the channels, a tab per level, and words that help."""

import pytest
from django.urls import reverse

from incidents import plan_desk
from incidents.defaults import ensure_defaults
from incidents.models import CommunicationPlan, CommunicationRule, EscalationStep
from incidents.models.plans import STANDARD_RULES, STANDARD_STEPS, Rule
from tests.conftest import T0

COUNTS = {"INITIAL_FORMS": "0", "MIN_NUM_FORMS": "0", "MAX_NUM_FORMS": "1000"}
PREFIXES = ["rules", "steps", "rules-2", "steps-2", "rules-3", "steps-3"]


@pytest.fixture
def plan(db):
    ensure_defaults(T0)
    return CommunicationPlan.objects.get()


def body(plan, **rows):
    """A form of the plan's page that adds rows: {prefix: [fields]}."""
    data = {"name": plan.name, "reminder_days": "3", "close_days": "5", "escalation_answer_minutes": "30"}
    for prefix in PREFIXES:
        added = rows.get(prefix.replace("-", "_"), [])
        data |= {f"{prefix}-{name}": value for name, value in COUNTS.items()}
        data[f"{prefix}-TOTAL_FORMS"] = str(len(added))
        for number, fields in enumerate(added):
            data |= {f"{prefix}-{number}-{name}": value for name, value in fields.items()}
    return data


def page(plan):
    return reverse("admin:incidents_communicationplan_change", args=[plan.pk])


def errors_of(answer):
    found = []
    for inline in answer.context_data["inline_admin_formsets"]:
        found += inline.formset.non_form_errors()
        found += [error for form in inline.formset.errors for lines in form.values() for error in lines]
    return found


RULE = {"topic": "progress", "role": "escalation_contacts", "way": "both"}
STEP = {"kind": "first_response", "percent": "90", "after_minutes": "0", "role": "head_of_support", "way": "email",
        "max_pages": "1", "stop": "acknowledged"}  # fmt: skip


@pytest.mark.parametrize("name", plan_desk.WAYS)
def test_each_choice_of_channels_is_the_columns_that_say_the_same(name):
    _label, channels, is_every_channel = plan_desk.WAYS[name]
    assert plan_desk.way_of(channels, is_every_channel) == name


@pytest.mark.parametrize("name", plan_desk.WAYS)
def test_the_choice_that_is_saved_is_the_choice_that_is_shown(client, h1, plan, name):
    client.force_login(h1)
    assert client.post(page(plan), body(plan, rules_2=[RULE | {"way": name}])).status_code == 302
    made = CommunicationRule.objects.order_by("-pk")[0]
    assert (made.level, made.channels, made.is_every_channel) == ("P2", *plan_desk.WAYS[name][1:])
    shown = client.get(page(plan)).context_data["inline_admin_formsets"][2].formset
    [form] = [form for form in shown.forms if form.instance.pk == made.pk]
    assert form["way"].value() == name


def test_a_row_stands_at_the_level_of_its_tab_whatever_is_sent(client, h1, plan):
    client.force_login(h1)
    assert client.post(page(plan), body(plan, rules_3=[RULE | {"level": "P1"}])).status_code == 302
    assert CommunicationRule.objects.order_by("-pk")[0].level == "P3"


def test_a_new_plan_starts_with_the_standard_and_opens_for_editing(client, h1, plan):
    client.force_login(h1)
    answer = client.post(
        reverse("admin:incidents_communicationplan_add"),
        {"name": "Gold", "reminder_days": "3", "close_days": "9", "escalation_answer_minutes": "30"},
    )
    made = CommunicationPlan.objects.get(name="Gold")
    assert answer.url == page(made)
    assert (made.rules.count(), made.steps.count()) == (len(STANDARD_RULES), len(STANDARD_STEPS))


def test_saving_the_standard_as_it_is_shown_changes_no_row(client, h1, plan):
    client.force_login(h1)
    before = [list(rows.order_by("pk").values()) for rows in (plan.rules, plan.steps)]
    shown = client.get(page(plan)).context_data
    data = {"name": plan.name, "reminder_days": "3", "close_days": "5", "escalation_answer_minutes": "30"}
    for inline in shown["inline_admin_formsets"]:
        formset = inline.formset
        data |= {
            f"{formset.prefix}-{name}": formset.management_form[name].value()
            for name in ("TOTAL_FORMS", "INITIAL_FORMS")
        }
        for form in formset.forms:
            data |= {
                form.add_prefix(name): form[name].value()
                for name in form.fields
                if form[name].value() is not None and form[name].value() is not False
            }
    assert client.post(page(plan), data).status_code == 302
    assert [list(rows.order_by("pk").values()) for rows in (plan.rules, plan.steps)] == before


def test_empty_numbers_mean_at_once_and_once(client, h1, plan):
    client.force_login(h1)
    step = STEP | {"percent": "", "after_minutes": "", "max_pages": ""}
    assert client.post(page(plan), body(plan, steps_3=[step])).status_code == 302
    made = EscalationStep.objects.order_by("-pk")[0]
    assert (made.percent, made.after_minutes, made.max_pages) == (None, 0, 1)


def test_every_change_of_a_row_is_kept(client, h1, plan):
    client.force_login(h1)
    client.post(page(plan), body(plan, steps=[STEP]))
    made = EscalationStep.objects.order_by("-pk")[0]
    assert [(row.history_user, row.percent) for row in made.history.all()] == [(h1, 90)]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"rules": [RULE | {"topic": "alarm"}]}, "The customer is not told of this."),
        ({"rules": [RULE | {"role": "team"}]}, "This is told to the customer."),
        ({"rules": [{"topic": "answer", "role": "reporter", "way": "email"}]}, "is in the plan already"),
        ({"rules": [RULE, RULE]}, "Please correct the duplicate"),
        ({"steps": [STEP | {"percent": "100"}]}, "Use a whole percent from 1 to 99"),
        ({"steps": [STEP | {"percent": "", "max_pages": "3"}]}, "A repeated page needs its minutes"),
        ({"steps": [STEP | {"role": "reporter"}]}, "The customer is told once, at the breach"),
        ({"steps": [STEP, STEP]}, "Two steps page the same people"),
        ({"steps": [STEP | {"percent": "", "max_pages": "", "repeat_minutes": "5"}]}, "A repeated page needs"),
        ({"steps": [STEP | {"way": "pigeon"}]}, "Select a valid choice"),
    ],
)  # fmt: skip
def test_what_would_never_be_used_is_refused_with_what_to_do(client, h1, plan, rows, words):
    client.force_login(h1)
    before = (plan.rules.count(), plan.steps.count())
    answer = client.post(page(plan), body(plan, **rows))
    assert answer.status_code == 200
    assert any(words in error for error in errors_of(answer)), errors_of(answer)
    assert (plan.rules.count(), plan.steps.count()) == before


def test_a_topic_of_which_no_customer_hears_is_pointed_out(client, h1, plan):
    client.force_login(h1)
    assert "Somebody stays unheard" not in client.get(page(plan)).content.decode()
    plan.rules.filter(level="P2", topic="status_update").delete()
    text = client.get(page(plan)).content.decode()
    assert "P2: nobody on the customer&#x27;s side hears of “Status updates”." in text
    assert text.count("nobody on the customer") == 1


def test_staff_who_hear_do_not_make_the_customer_heard():
    rules = [Rule("P1", "receipt", "team")]
    assert ("P1", "receipt") in plan_desk.silent_topics(rules)
    assert ("P1", "receipt") not in plan_desk.silent_topics([*rules, Rule("P1", "receipt", "reporter")])
    assert plan_desk.silent_topics(STANDARD_RULES) == []
    only_room = [*rules, Rule("P1", "receipt", "room", ("webhook",))]
    assert ("P1", "receipt") in plan_desk.silent_topics(only_room)
    [words] = [w for w in plan_desk.silence_words(only_room) if "own channel" in w]
    assert words.startswith("P1: of “It is reported, or reported again” only the organisation's own channel")


def test_an_agent_reads_the_plan_and_its_channels_in_words(client, g1, plan):
    client.force_login(g1)
    answer = client.get(page(plan))
    assert "E-mail, then webhook if it fails" in answer.content.decode()
    assert client.post(page(plan), body(plan, rules=[RULE])).status_code == 403
