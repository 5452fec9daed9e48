"""What a bridge came to, in the RCA of its incident, and in no RCA that others read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import actions
from incidents.actions import Refused
from incidents.models import RCA, Message, RCACopy, SupportPlan
from tests import factories
from tests.conftest import T0
from tests.incidents.rca_world import family, written


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


def ended(p1, g1, minutes=60):
    """Resolved: from now on its RCA is owed."""
    actions.resolve(p1, by=g1, now=after(minutes), channel="admin", cause="Disk", remedy="New disk")
    return RCA.objects.get(incident=p1)


def texts_of(rca) -> str:
    return "\n".join(
        [*(getattr(rca, name) for name in RCA.TEXTS), *rca.moments.values_list("text", flat=True)]
    )


def worked_on(bridge, g1):
    actions.decide_on_bridge(bridge, text="Fail over", by=g1, now=after(20), **BY_PAGE)
    actions.side_note(bridge, text="They pay late", by=g1, now=after(21), **BY_PAGE)
    agree = {"owner": g1, "due_at": after(90), "by": g1, "now": after(22), **BY_PAGE}
    actions.agree_step(bridge, text="Watch the disks", **agree)
    done = actions.agree_step(bridge, text="Swap the disk", **agree)
    actions.finish_step(done, by=g1, now=after(30), **BY_PAGE)


def test_the_draft_of_the_rca_knows_the_bridge(p1, bridge, g1):
    worked_on(bridge, g1)
    actions.close_bridge(bridge, summary="We failed over.", by=g1, now=after(50), **BY_PAGE)
    rca = ended(p1, g1)
    actions.draft_rca(rca, by=g1, now=after(70), channel="admin")
    assert [row for row in rca.moments.values_list("at", "text") if "ridge" in row[1]] == [
        (after(2), "Live bridge opened"),
        (after(20), "Decided on the bridge: Fail over"),
        (after(30), "Done, as agreed on the bridge: Swap the disk"),
        (after(50), "Live bridge closed"),
    ]
    assert "We failed over." in rca.summary
    assert "not done there:\n- Watch the disks (Gül One)" in rca.summary
    assert "pay late" not in texts_of(rca)


def test_what_a_bridge_came_to_is_added_once_to_a_draft(p1, bridge, g1):
    rca = ended(p1, g1, 10)
    actions.draft_rca(rca, by=g1, now=after(15), channel="admin")
    kept = list(rca.moments.exclude(text="Live bridge opened").values_list("at", "text"))
    edited = [actions.MomentInput(at, text) for at, text in kept]
    actions.save_rca(rca, by=g1, now=after(16), channel="admin", moments=edited, texts={"summary": "Mine"})
    worked_on(bridge, g1)
    actions.close_bridge(bridge, summary="We failed over.", by=g1, now=after(50), **BY_PAGE)
    added = [row for row in rca.moments.values_list("text", flat=True) if row not in dict(kept).values()]
    assert added == [
        "Decided on the bridge: Fail over",
        "Done, as agreed on the bridge: Swap the disk",
        "Live bridge closed",
    ]
    with pytest.raises(Refused, match="Somebody changed the RCA"):
        actions.save_rca(rca, by=g1, now=after(51), channel="admin", moments=edited, revision=rca.revision)
    rca.refresh_from_db()
    assert (rca.summary, rca.status) == ("Mine", "draft")


def test_a_text_in_review_or_published_is_not_touched(p1, bridge, g1, g2):
    rca = ended(p1, g1, 10)
    written(rca, g1, after(15))
    actions.submit_rca(rca, by=g1, now=after(16), channel="admin")
    before = (RCA.objects.values().get(), list(rca.moments.values()))
    worked_on(bridge, g1)
    actions.close_bridge(bridge, summary="We failed over.", by=g1, now=after(50), **BY_PAGE)
    assert (RCA.objects.values().get(), list(rca.moments.values())) == before
    actions.approve_rca(rca, by=g2, now=after(55), channel="admin")
    actions.publish_rca(rca, by=g2, now=after(56), channel="admin")


def test_words_that_were_made_internal_are_told_to_nobody(p1, bridge, a1, g1):
    worked_on(bridge, g1)
    Message.objects.filter(kind="decision").update(is_public=False)
    assert "Fail over" not in actions.draft_summary(bridge, after(49))
    actions.close_bridge(bridge, summary="We failed over.", by=g1, now=after(50), **BY_PAGE)
    Message.objects.filter(kind="bridge_summary").update(is_public=False)
    bridge.refresh_from_db()
    assert actions.summary_of(bridge) == ""
    rca = ended(p1, g1)
    actions.draft_rca(rca, by=g1, now=after(70), channel="admin")
    assert "Fail over" not in texts_of(rca)
    assert "failed over" not in texts_of(rca)


def test_one_who_closes_a_bridge_may_still_review_the_rca(p1, bridge, g1, g2):
    rca = ended(p1, g1, 10)
    written(rca, g1, after(15))
    actions.close_bridge(bridge, summary="We failed over.", by=g2, now=after(50), **BY_PAGE)
    rca.refresh_from_db()
    actions.submit_rca(rca, by=g1, now=after(55), channel="admin")
    actions.approve_rca(rca, by=g2, now=after(56), channel="admin")


@pytest.mark.parametrize("is_drafted_before", [True, False])
def test_a_bridge_of_one_organisation_is_not_in_an_rca_that_others_read(a1, b1, g1, g2, is_drafted_before):
    parent, (theirs, other) = family(a1, b1, g1)
    SupportPlan.objects.update(has_bridge=True)
    bridge = actions.open_bridge(theirs, by=a1, now=after(2), **BY_PAGE)
    actions.decide_on_bridge(bridge, text="Tell our board", by=a1, now=after(3), **BY_PAGE)
    agree = {"by": a1, "now": after(4), "due_at": after(90), **BY_PAGE}
    step = actions.agree_step(bridge, text="Call our board", owner=a1, **agree)
    actions.finish_step(step, by=a1, now=after(5), **BY_PAGE)
    actions.agree_step(bridge, text="Send our board a letter", owner=a1, **agree)
    for made in (theirs, other, parent):
        actions.resolve(made, by=g1, now=after(60), channel="admin", cause="A cable.", remedy="Replaced.")
    rca = RCA.objects.get()
    close = {"summary": "Our board knows.", "by": g1, **BY_PAGE}
    if not is_drafted_before:
        actions.close_bridge(bridge, now=after(65), **close)
    written(rca, g1, after(70))
    if is_drafted_before:
        actions.close_bridge(bridge, now=after(75), **close)
    assert "board" not in texts_of(rca)
    assert "ridge" not in texts_of(rca)
    actions.submit_rca(rca, by=g1, now=after(80), channel="admin")
    actions.approve_rca(rca, by=g2, now=after(81), channel="admin")
    actions.publish_rca(rca, by=g2, now=after(82), channel="admin")
    assert {copy.organisation for copy in RCACopy.objects.all()} == {theirs.organisation, other.organisation}
    assert "board" not in str(list(RCACopy.objects.values("content")))
