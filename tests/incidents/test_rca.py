"""The RCA's verbs: owed with its clock, written, reviewed by a second person, published, revised."""

from datetime import date, timedelta

import pytest

from incidents import actions
from incidents.actions import ActionInput, Refused
from incidents.clockwork import differences
from incidents.models import RCA, Incident, RCACopy, RCAEvent, RCARemark
from tests.conftest import T0
from tests.factories import clock, incident
from tests.incidents.rca_world import (
    DUE,
    MomentInput,
    approved,
    at,
    family,
    one_action,
    published,
    rca_of,
    resolved,
    revised,
    solve,
    window_for,
    written,
)

STAFF = {"channel": "admin"}


def refusal(verb, *args, **inputs) -> str:
    with pytest.raises(Refused) as caught:
        verb(*args, **{"now": at(300), **STAFF, **inputs})
    return caught.value.kind


# --- owed ---


def test_a_p1_owes_its_rca_with_its_clock(a1, g1):
    made = incident(a1, T0)
    assert not RCA.objects.exists()
    made = resolved(a1, g1)
    rca = RCA.objects.get()
    assert (rca.incident, rca.status, rca.owed_since) == (made, "owed", at(60))
    owed = RCAEvent.objects.get(rca=rca)
    assert (owed.kind, owed.payload["clock"], owed.is_public) == ("rca_owed", "rca/1/P1/1", False)
    actions.reply(made, by=g1, now=at(70), channel="admin", text="More soon.")
    assert RCA.objects.count() == 1


def test_a_p2_owes_it_on_request_or_when_it_is_major(a1, g1, m1):
    made = resolved(a1, g1, level="P2")
    assert not RCA.objects.exists()
    actions.request_rca(made, by=a1, now=at(90), channel="portal")
    assert rca_of(made).owed_since == at(90)
    major = resolved(a1, g1, level="P2")
    actions.declare_major(major, by=m1, now=at(95), channel="admin", reason="Payments stand still.")
    assert rca_of(major).owed_since == at(95)
    assert not RCA.objects.filter(incident=resolved(a1, g1, level="P2")).exists()


def test_reopening_cancels_the_clock_and_the_next_resolution_owes_again(a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    actions.reopen(made, by=a1, now=at(300), channel="portal", reason="Down again.")
    actions.start_intervention(made, by=g1, now=at(301), channel="admin")
    actions.resolve(made, by=g1, now=at(330), channel="admin", cause="The same.", remedy="Again.")
    assert clock(made, "rca", cycle=1).state == "met"
    assert clock(made, "rca", cycle=2).state == "running"
    revised(rca, g1, g2, at(400))
    assert (clock(made, "rca", cycle=2).state, clock(made, "rca", cycle=2).met_at) == ("met", at(400))


def test_an_open_clock_is_cancelled_by_the_reopening(a1, g1):
    made = resolved(a1, g1)
    actions.reopen(made, by=a1, now=at(70), channel="portal", reason="Down again.")
    assert clock(made, "rca").state == "cancelled"
    assert rca_of(made).status == "owed"


# --- the draft ---


def test_the_draft_is_filled_from_the_timeline(a1, g1):
    made = resolved(a1, g1)
    rca = rca_of(made)
    actions.draft_rca(rca, by=g1, now=at(120), channel="admin")
    assert (rca.status, rca.author) == ("draft", g1)
    moments = list(rca.moments.values_list("at", "text"))
    assert moments[0] == (T0, "Reported as P1")
    assert (at(5), "Intervention by Gül One started") in moments
    assert moments[-1] == (at(60), "Resolved")
    assert all(moment.event for moment in rca.moments.all())
    assert "Inference API: Degraded for 1 h 0 min" in rca.impact
    assert "P1 for 1 h 0 min" in rca.impact
    assert rca.detection == "It was reported in the portal. A person took it up after 1 h 0 min."
    assert rca.root_cause == "A certificate expired."
    assert "It was renewed." in rca.summary
    assert rca.went_badly.split("\n") == [
        "- First response (P1): late by 45 min",
        "- Status updates: 0 of 1 in time",
    ]
    assert rca.went_well == "- Intervention (P1): in time"
    assert refusal(actions.draft_rca, rca, by=g1) == "state"


def test_only_staff_write(a1, a2, g1, m1):
    rca = rca_of(resolved(a1, g1))
    assert refusal(actions.draft_rca, rca, by=a2) == "permission"
    written(rca, g1)
    for verb, more in [
        (actions.save_rca, {"texts": {"impact": "x"}}),
        (actions.submit_rca, {}),
    ]:
        assert refusal(verb, rca, by=a2, **more) == "permission"
    assert rca.impact == "All requests failed."


def test_a_stale_form_loses_nothing(a1, g1, g2):
    rca = written(rca_of(resolved(a1, g1)), g1)
    before = rca.revision
    actions.save_rca(rca, by=g1, now=at(130), texts={"impact": "Mine"}, revision=before, **STAFF)
    assert refusal(actions.save_rca, rca, by=g2, texts={"impact": "Theirs"}, revision=before) == "stale"
    assert RCA.objects.get().impact == "Mine"
    actions.save_rca(rca, by=g2, now=at(131), texts={"impact": "Theirs"}, revision=rca.revision, **STAFF)
    assert RCA.objects.get().impact == "Theirs"


def test_saving_what_is_there_already_is_no_change(a1, g1):
    rca = written(rca_of(resolved(a1, g1)), g1)
    before = (rca.revision, rca.events.count(), list(rca.moments.values_list("pk", flat=True)))
    same = [MomentInput(row.at, row.text) for row in rca.moments.all()]
    actions.save_rca(
        rca, by=g1, now=at(130), texts={"impact": rca.impact}, moments=same, redactions=[], **STAFF
    )
    assert (rca.revision, rca.events.count(), list(rca.moments.values_list("pk", flat=True))) == before


def test_moments_and_actions_are_rewritten(a1, g1):
    rca = written(rca_of(resolved(a1, g1)), g1)
    first = rca.moments.first()
    actions.save_rca(
        rca,
        by=g1,
        now=at(130),
        moments=[MomentInput(first.at, first.text), MomentInput(at(-10), "The certificate expired")],
        actions=[one_action(g1, number=1, text="Changed"), one_action(g1, kind="detect", text="New")],
        **STAFF,
    )
    assert [(m.text, bool(m.event)) for m in rca.moments.all()] == [
        ("The certificate expired", False),
        ("Reported as P1", True),
    ]
    assert [(a.number, a.text) for a in rca.actions.all()] == [(1, "Changed"), (2, "New")]
    actions.save_rca(rca, by=g1, now=at(131), actions=[one_action(g1, number=2, text="New")], **STAFF)
    assert [a.number for a in rca.actions.all()] == [2]
    for bad in (
        {"actions": [one_action(g1, kind="hope")]},
        {"actions": [one_action(a1)]},
        {"actions": [one_action(g1, number=7)]},
        {"actions": [one_action(g1, text=" ")]},
        {"moments": [MomentInput(T0, "x" * 501)]},
        {"texts": {"password": "x"}},
        {"texts": {"impact": "x" * 50_001}},
    ):
        assert refusal(actions.save_rca, rca, by=g1, **bad) == "invalid"


# --- review ---


@pytest.mark.parametrize(
    ("texts", "acts", "field"),
    [
        ({"root_cause": " "}, None, "root_cause"),
        ({"impact": ""}, None, "impact"),
        ({}, [], "actions"),
        ({}, [{"due_on": None}], "actions"),
        ({}, [{"owner": None}], "actions"),
        ({}, [{}, {"owner": None, "text": "Another"}], "actions"),
    ],
)
def test_an_incomplete_text_is_not_submitted(a1, g1, texts, acts, field):
    given = None if acts is None else [one_action(**{"owner": g1} | more) for more in acts]
    rca = written(rca_of(resolved(a1, g1)), g1, texts=texts, acts=given)
    with pytest.raises(Refused) as caught:
        actions.submit_rca(rca, by=g1, now=at(130), **STAFF)
    assert caught.value.field == field
    assert RCA.objects.get().status == "draft"


def test_a_second_person_reviews(a1, g1, g2, m1, h1):
    rca = written(rca_of(resolved(a1, g1)), g1)
    actions.save_rca(rca, by=h1, now=at(125), texts={"went_well": "The rota."}, **STAFF)
    assert refusal(actions.approve_rca, rca, by=g2) == "state"
    actions.submit_rca(rca, by=g1, now=at(130), **STAFF)
    assert refusal(actions.save_rca, rca, by=g1, texts={"impact": "x"}) == "state"
    assert refusal(actions.approve_rca, rca, by=g1) == "permission"
    assert refusal(actions.approve_rca, rca, by=h1) == "permission"  # wrote part of it
    assert refusal(actions.publish_rca, rca, by=m1) == "state"  # nobody approved it
    assert refusal(actions.approve_rca, rca, by=a1) == "permission"
    actions.approve_rca(rca, by=g2, now=at(140), **STAFF)
    assert (rca.reviewer, rca.reviewed_at) == (g2, at(140))
    assert refusal(actions.approve_rca, rca, by=m1) == "state"
    assert refusal(actions.publish_rca, rca, by=g1) == "permission"  # neither reviewer nor duty manager
    actions.publish_rca(rca, by=m1, now=at(150), **STAFF)
    assert rca.status == "published"


def test_a_returned_text_needs_a_new_approval(a1, g1, g2):
    rca = approved(rca_of(resolved(a1, g1)), g1, g2)
    assert refusal(actions.return_rca, rca, by=g2, reason=" ") == "invalid"
    actions.return_rca(rca, by=g2, now=at(190), reason="Name the certificate.", **STAFF)
    assert (rca.status, rca.reviewer, rca.reviewed_at) == ("draft", None, None)
    returned = rca.events.get(kind="rca_returned")
    assert RCARemark.objects.get(pk=returned.payload["remark"]).text == "Name the certificate."
    assert "certificate" not in str(returned.payload)
    actions.submit_rca(rca, by=g1, now=at(195), **STAFF)
    assert refusal(actions.publish_rca, rca, by=g2) == "permission"


# --- publication ---


def test_publication_meets_the_clock_to_the_second_and_freezes_copies(a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2, at(240))
    row = clock(made, "rca")
    assert (row.state, row.met_at, row.ended_at) == ("met", at(240), at(240))
    event = made.events.get(kind="rca_published")
    version = rca.versions.get()
    assert event.facts.rca_version == version.pk
    assert event.is_public
    assert differences(Incident.objects.get(pk=made.pk)) == []
    copy = version.copies.get()
    assert (copy.organisation, copy.incident) == (made.organisation, made)
    assert copy.content["texts"]["root_cause"] == "Nobody watched it."
    assert copy.content["services"] == [
        {
            "name": "Inference API",
            "impact": "degraded",
            "from": "2026-03-03T10:00:00Z",
            "until": "2026-03-03T11:00:00Z",
            "is_planned": False,
        }
    ]
    promised = {row["what"]: row for row in copy.content["promised"]}
    assert promised["intervention"]["is_kept"]
    assert promised["intervention"]["met_at"] == "2026-03-03T10:05:00Z"
    assert not promised["first_response"]["is_kept"]
    assert promised["status_update"] == {"what": "status_update", "kept": 0, "total": 1}
    assert version.content["texts"] == {name: getattr(rca, name) for name in RCA.TEXTS}
    assert rca.actions.get().first_due_on == DUE
    assert refusal(actions.publish_rca, rca, by=g2) == "state"


def test_a_late_publication_meets_nothing_and_is_recorded(a1, g1, g2):
    made = resolved(a1, g1)
    late = at(60, days=10)
    published(rca_of(made), g1, g2, late)
    row = clock(made, "rca")
    assert (row.state, row.met_at) == ("breached", late)
    assert differences(Incident.objects.get(pk=made.pk)) == []


def test_without_a_dated_owned_action_nothing_is_published(a1, g1, g2):
    rca = approved(rca_of(resolved(a1, g1)), g1, g2)
    rca.actions.update(due_on=None)
    assert refusal(actions.publish_rca, rca, by=g2) == "invalid"
    rca.actions.update(due_on=DUE, owner=None)
    assert refusal(actions.publish_rca, rca, by=g2) == "invalid"
    rca.actions.all().delete()
    assert refusal(actions.publish_rca, rca, by=g2) == "invalid"
    assert not RCACopy.objects.exists()


def test_a_revision_has_its_own_author_and_a_third_reviewer(a1, g1, g2):
    rca = published(rca_of(resolved(a1, g1)), g1, g2)
    assert refusal(actions.save_rca, rca, by=g1, texts={"impact": "x"}) == "state"
    actions.revise_rca(rca, by=g2, now=at(300), **STAFF)
    actions.save_rca(rca, by=g2, now=at(301), texts={"root_cause": "Nobody owned it."}, **STAFF)
    actions.submit_rca(rca, by=g2, now=at(302), **STAFF)
    assert refusal(actions.approve_rca, rca, by=g1) == "permission"  # most of the text is still theirs


def test_versions_are_numbered_and_say_what_changed(a1, g1, g2, m1):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    first = RCACopy.objects.get().content
    actions.revise_rca(rca, by=g1, now=at(300), **STAFF)
    actions.save_rca(rca, by=g1, now=at(301), texts={"root_cause": "Nobody owned it."}, **STAFF)
    actions.submit_rca(rca, by=g1, now=at(302), **STAFF)
    actions.approve_rca(rca, by=g2, now=at(303), **STAFF)
    assert refusal(actions.publish_rca, rca, by=g2) == "invalid"  # without a note
    actions.publish_rca(rca, by=g2, now=at(304), note="The true cause.", **STAFF)
    numbers = list(rca.versions.order_by("number").values_list("number", "note"))
    assert numbers == [(1, ""), (2, "The true cause.")]
    old, new = RCACopy.objects.order_by("version__number")
    assert old.content == first
    assert new.content["texts"]["root_cause"] == "Nobody owned it."
    assert [event.payload["number"] for event in made.events.filter(kind="rca_published")] == [1, 2]
    assert differences(Incident.objects.get(pk=made.pk)) == []


def test_a_revision_changes_no_action_that_was_promised(a1, g1, g2):
    rca = published(rca_of(resolved(a1, g1)), g1, g2)
    sneaky = [
        one_action(g1, number=1, text="Quietly later", due_on=date(2027, 1, 1)),
        one_action(g1, text="More"),
    ]
    revised(rca, g1, g2, at(400), actions=sneaky)
    first, second = rca.actions.all()
    assert (first.text, first.due_on) == ("Alarm 30 days before expiry", DUE)
    assert (second.number, second.first_due_on) == (2, DUE)
    revised(rca, g1, g2, at(500), actions=[])
    assert rca.actions.count() == 2


# --- one outage, many customers ---


def test_a_parent_s_rca_meets_every_child_s_clock(a1, b1, g1, g2):
    parent, children = family(a1, b1, g1)
    for made in children:
        solve(made, g1, at(60))
    assert [rca.incident for rca in RCA.objects.all()] == [parent]
    solve(parent, g1, at(61))
    rca = published(RCA.objects.get(), g1, g2, at(240))
    for made in (parent, *children):
        assert (clock(made, "rca").state, clock(made, "rca").met_at) == ("met", at(240))
        assert differences(Incident.objects.get(pk=made.pk)) == []
    copies = {copy.organisation: copy for copy in rca.versions.get().copies.all()}
    assert set(copies) == {made.organisation for made in children}
    for made in children:
        copy = copies[made.organisation]
        assert (copy.incident, copy.content["reference"]) == (made, made.reference)
        assert copy.content["organisation"] == made.organisation.name


def test_a_child_resolved_after_the_publication_owes_nothing(a1, b1, g1, g2):
    _parent, (mine, theirs) = family(a1, b1, g1)
    solve(mine, g1, at(60))
    published(RCA.objects.get(), g1, g2, at(240))
    solve(theirs, g1, at(300))
    assert (clock(theirs, "rca").state, clock(theirs, "rca").met_at) == ("met", at(300))
    assert differences(Incident.objects.get(pk=theirs.pk)) == []
    actions.reopen(theirs, by=b1, now=at(310), channel="portal", reason="Again.")
    solve(theirs, g1, at(330))
    assert clock(theirs, "rca").state == "running"  # of the new cycle nothing is explained yet


# --- a maintenance window ---


def test_the_rca_of_a_window(acme, a1, g1, g2, m1):
    window = window_for(acme, g1, m1)
    rca = RCA.objects.create(window=window, due_at=at(0, days=7))
    actions.draft_rca(rca, by=g1, now=at(200), **STAFF)
    said = [moment.text for moment in rca.moments.all()]
    assert said == [
        "Announced",
        "Work started",
        "Half of the steps are done.",
        "Agreed end passed: the work goes on",
        "Rollback ordered",
        "Rolled back",
    ]
    assert "was not over at its agreed end" in rca.detection
    assert "Rolled back; nothing is lost." in rca.summary
    actions.save_rca(
        rca,
        by=g1,
        now=at(201),
        texts={"impact": "None beyond the window.", "root_cause": "The index took longer."},
        actions=[ActionInput("prevent", "Rehearse with full data", g1, DUE)],
        **STAFF,
    )
    actions.submit_rca(rca, by=g1, now=at(202), **STAFF)
    actions.approve_rca(rca, by=g2, now=at(203), **STAFF)
    actions.publish_rca(rca, by=g2, now=at(204), **STAFF)
    copy = RCACopy.objects.get()
    assert (copy.organisation, copy.incident, copy.content["reference"]) == (acme, None, window.reference)
    assert copy.content["services"] == [{"name": "Inference API", "impact": "outage"}]
    assert rca.first_published_at == at(204)


def test_nobody_reads_a_window_without_organisations(acme, g1, g2, m1):
    window = window_for(acme, g1, m1)
    window.involved.all().delete()
    rca = approved(RCA.objects.create(window=window, due_at=at(0, days=7)), g1, g2)
    assert refusal(actions.publish_rca, rca, by=g2) == "state"


def test_time_is_whole_seconds(a1, g1):
    rca = rca_of(resolved(a1, g1))
    actions.draft_rca(rca, by=g1, now=at(120) + timedelta(microseconds=5), **STAFF)
    assert rca.events.get(kind="rca_drafted").at == at(120)
