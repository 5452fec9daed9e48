"""The staff door: roles hold on every page, a GET changes nothing, a stale form loses nothing."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib import admin
from django.urls import reverse

from incidents import actions
from incidents.models import Incident, SLAPolicyVersion
from incidents.staff_forms import STAFF_VERBS
from portal.models import OutboxMessage, User
from tests.conftest import T0
from tests.factories import incident


@pytest.fixture(autouse=True)
def _soon_after_t0():
    """An incident of T0 is minutes old: months of missed intervals are nobody's concern here."""
    with time_machine.travel(T0 + timedelta(minutes=5), tick=True):
        yield


AGENT_MAY_ADD = {
    "incidents.incident",
    "incidents.article",
    "maintenance.freeze",
    "maintenance.maintenancewindow",
    "portal.announcement",
}
AGENT_SEES_NOTHING_OF = {"portal.auditentry", "portal.erasure", "portal.retentionrule"}


def models():
    return sorted(admin.site._registry, key=lambda model: model._meta.label_lower)


def test_an_agent_adds_and_changes_only_what_the_matrix_says(client, g1):
    client.force_login(g1)
    for model in models():
        if model._meta.app_label not in ("incidents", "maintenance", "portal"):
            continue
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        seen = 403 if model._meta.label_lower in AGENT_SEES_NOTHING_OF else 200
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == seen, name
        expected = 200 if model._meta.label_lower in AGENT_MAY_ADD else 403
        assert client.get(reverse(f"admin:{name}_add")).status_code == expected, name


def test_a_customer_and_a_stranger_never_reach_the_desk(client, a1):
    client.force_login(a1)
    made = incident(a1, T0)
    for address in ("/admin/", f"/admin/incidents/incident/{made.pk}/change/"):
        assert client.get(address).status_code in (302, 403)


def test_an_agent_cannot_raise_anybody(client, g1, m1):
    client.force_login(g1)
    answer = client.post(reverse("admin:portal_user_change", args=[g1.pk]), {"staff_role": "administrator"})
    assert (answer.status_code, User.objects.get(pk=g1.pk).staff_role) == (403, "agent")


@pytest.mark.parametrize("lookup", ["password__startswith", "recipient__password__startswith"])
def test_lookups_never_reach_a_secret(client, root, lookup):
    client.force_login(root)
    model = "portal_user" if lookup.startswith("password") else "portal_outboxmessage"
    answer = client.get(reverse(f"admin:{model}_changelist"), {lookup: "m"})
    assert answer.status_code in (302, 400)


def test_a_get_of_every_verb_changes_nothing(client, a1, g1):
    made = incident(a1, T0)
    client.force_login(g1)
    before = (made.events.count(), OutboxMessage.objects.count())
    for name in STAFF_VERBS:
        answer = client.get(reverse("admin:incidents_incident_do", args=[made.pk, name]))
        assert answer.status_code == 200, name
    assert (made.events.count(), OutboxMessage.objects.count()) == before


def test_a_preview_shows_the_mail_and_writes_nothing(client, a1, g1):
    made = incident(a1, T0)
    client.force_login(g1)
    before = (made.events.count(), made.messages.count(), OutboxMessage.objects.count())
    address = reverse("admin:incidents_incident_do", args=[made.pk, "reply"])
    answer = client.post(address, {"text": "We are on it.", "preview": "1"})
    assert f"[{made.reference}]" in answer.content.decode()
    assert (made.events.count(), made.messages.count(), OutboxMessage.objects.count()) == before


def test_a_stale_form_shows_what_came_in_between_and_keeps_its_text(client, a1, g1, g2):
    made = incident(a1, T0)
    seen = {"revision": made.revision, "seen": made.events.get().pk}
    actions.reply(made, by=g2, now=T0, channel="admin", text="Gus was faster")
    client.force_login(g1)
    address = reverse("admin:incidents_incident_do", args=[made.pk, "reply"])
    answer = client.post(address, {"text": "my own words", **seen})
    page = answer.content.decode()
    assert (answer.status_code, "Gus was faster" in page, "my own words" in page) == (409, True, True)
    assert made.messages.count() == 1
    fresh = Incident.objects.get(pk=made.pk).revision
    answer = client.post(address, {"text": "my own words", "revision": fresh})
    assert (answer.status_code, made.messages.count()) == (302, 2)


def test_an_agreed_policy_version_is_read_only_even_for_the_head(client, a1, h1):
    incident(a1, T0)
    version = SLAPolicyVersion.objects.get()
    client.force_login(h1)
    answer = client.post(reverse("admin:incidents_slapolicyversion_change", args=[version.pk]), {"note": "x"})
    assert (answer.status_code, SLAPolicyVersion.objects.get().note) == (403, "")


def test_a_new_policy_version_copies_the_targets_of_the_one_before(client, a1, h1):
    incident(a1, T0)
    before = SLAPolicyVersion.objects.get()
    client.force_login(h1)
    client.post(reverse("admin:incidents_slapolicyversion_add"), {"policy": before.policy_id, "note": "2027"})
    after = SLAPolicyVersion.objects.get(number=2)
    assert after.targets.count() == before.targets.count() == 10
