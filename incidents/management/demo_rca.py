"""The demo's RCA: of the P1 of twelve days ago, published, its plan under way, with a word from its reader."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from incidents import actions
from incidents.actions import ActionInput, RedactionInput
from incidents.models import RCA, Incident
from portal.models import User

ROOT_CAUSE = """\
The health check of the load balancer only asked whether the process listens. The node had lost its lease on \
the accelerator: it **listened, and answered no request**.

1. The lease expired because its renewal ran in the same thread as requests.
2. The check did not send a request, so the node stayed in rotation.
3. Nordwind Logistik saw slow embeddings before; nobody linked the two."""
PLAN = [
    ("prevent", "Send a real completion in the health check of every node, and take a node out after two failures", "deniz", 5),
    ("detect", "Alarm on the error rate of each node instead of the mean of all", "elif", 12),
    ("mitigate", "Renew the accelerator's lease in a thread of its own, with a margin of two minutes", "mert", 20),
    ("detect", "Name the lease in the runbook, and rehearse it with the rota", "elif", -4),
]  # fmt: skip


def load_rca(people: dict[str, User], now: datetime) -> None:
    """Write, review and publish it on its days, then bring its actions to where they stand at `now`."""
    incident = Incident.objects.get(title="Inference API unreachable")
    rca = RCA.objects.get(incident=incident)
    written_at = now - timedelta(days=10)
    author: dict[str, Any] = {"by": people["deniz"], "now": written_at, "channel": "admin"}
    actions.draft_rca(rca, **author)
    actions.save_rca(
        rca,
        texts={
            "root_cause": ROOT_CAUSE,
            "contributing_factors": "- The dashboard showed the mean of all nodes.\n- The runbook did not name the lease.",
            "went_badly": rca.went_badly + "\n- The first page waited for half of the time.",
        },
        actions=[
            ActionInput(kind, text, people[owner], (now + timedelta(days=days)).date())
            for kind, text, owner, days in PLAN
        ],
        redactions=[RedactionInput("slow embeddings", None, "something alike")],
        **author,
    )
    actions.submit_rca(rca, **author)
    reviewer: dict[str, Any] = author | {"by": people["mert"], "now": written_at + timedelta(hours=3)}
    actions.approve_rca(rca, **reviewer)
    actions.publish_rca(rca, **reviewer)
    go_on(rca, people, now)


def go_on(rca: RCA, people: dict[str, User], now: datetime) -> None:
    """One action done, one moved, one begun; the customer asks and is answered."""

    def staff(who: str, days: float) -> dict[str, Any]:
        return {"by": people[who], "now": now - timedelta(days=days), "channel": "admin"}

    begun, moved, _later, done = rca.actions.select_related("rca")
    actions.close_action(
        done,
        evidence="Rehearsed on staging with both shifts (OPS-77): the lease was renewed after **3 min 40 s**.",
        **staff("elif", 5),
    )
    actions.start_action(begun, **staff("deniz", 3))
    later = (now + timedelta(days=19)).date()
    actions.move_action(
        moved, due_on=later, reason="The new metrics pipeline comes a week later.", **staff("elif", 2)
    )
    organisation = rca.versions.get().copies.get().organisation
    question = "Thank you. Will the health check also cover the embeddings route?"
    asked = staff("chloe", 1) | {"channel": "portal"}
    actions.comment_rca(rca, organisation=organisation, text=question, **asked)
    answer = "Yes: it sends one request to each route."
    actions.comment_rca(rca, organisation=organisation, text=answer, **staff("deniz", 0.8))
