"""What the customer's pages show that no journey walks past."""

from incidents.models import SLATarget
from portal.models import Membership
from tests.conftest import T0
from tests.factories import incident, organisation


def test_the_level_cards_show_the_promise_to_the_organisation_that_is_chosen(client, a1, acme):
    other = organisation("Zeta")
    Membership.objects.create(user=a1, organisation=other, role="member")
    client.force_login(a1)
    page = client.get("/incidents/new/", {"organisation": "zeta"})
    assert page.context["promised_to"] == other
    assert page.context["form"]["organisation"].value() == other.pk
    assert "The cards say what is promised to Zeta." in page.content.decode()
    assert "?organisation=acme" in page.content.decode()
    for strange in ("nordwind", "", "acme'"):
        assert client.get("/incidents/new/", {"organisation": strange}).context["promised_to"] == acme
    assert SLATarget.objects.exists()


def test_open_incidents_stand_in_the_order_of_what_is_due_next(client, a1):
    late = incident(a1, T0, "P3", "third")
    soon = incident(a1, T0, "P1", "first")
    then = incident(a1, T0, "P2", "second")
    client.force_login(a1)
    shown = list(client.get("/incidents/").context["page"].rows)
    assert shown == [soon, then, late]
    assert list(client.get("/incidents/", {"show": "all"}).context["page"].rows) == [then, soon, late]
