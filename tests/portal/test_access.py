"""Who a person is to an organisation: each predicate, for each of the cast."""

import pytest
from django.contrib.auth.models import AnonymousUser

from portal import access
from portal.models import Membership, Organisation

CAST = ["a1", "a2", "a3", "b1", "g1", "m1", "h1"]
YES = {  # predicate -> for whom it holds, about Acme
    access.may_write: {"a1", "a2"},
    access.may_manage: {"a2"},
}


@pytest.mark.parametrize("predicate", YES, ids=lambda predicate: predicate.__name__)
@pytest.mark.parametrize("who", CAST)
def test_only_people_of_the_organisation_with_the_role_may(predicate, who, request, acme, a2, nordwind):
    person = request.getfixturevalue(who)
    assert predicate(person, acme) is (who in YES[predicate])
    assert predicate(person, nordwind) is (who == "b1")


def test_a_membership_is_of_this_person_in_this_organisation(acme, nordwind, a1, a2, b1):
    assert access.membership(a1, acme).user == a1
    assert access.membership(a2, acme).user == a2
    assert access.membership(b1, nordwind).organisation == nordwind
    assert access.membership(b1, acme) is None
    Membership.objects.create(user=b1, organisation=acme, role="viewer")
    assert access.membership(b1, acme).organisation == acme
    assert access.membership(b1, nordwind).organisation == nordwind


@pytest.mark.parametrize("who", CAST)
def test_only_staff_are_agents_and_only_duty_managers_and_above_decide(who, request):
    person = request.getfixturevalue(who)
    assert access.is_agent(person) is (who in {"g1", "m1", "h1"})
    assert access.is_duty_manager(person) is (who in {"m1", "h1"})
    person.is_active = False
    assert not access.is_agent(person)
    assert not access.is_duty_manager(person)


def test_an_anonymous_visitor_is_no_staff():
    assert not access.is_agent(AnonymousUser())
    assert not access.is_duty_manager(AnonymousUser())


@pytest.mark.parametrize("broken", [{"is_staff": False}, {"staff_role": "", "is_superuser": False}])
def test_a_staff_role_counts_for_staff_only(h1, broken):
    for name, value in broken.items():
        setattr(h1, name, value)
    assert not h1.is_agent
    assert not h1.has_staff_role("agent")


def test_an_organisation_that_left_is_nobodys(acme, a2):
    acme.is_active = False
    acme.save()
    for scope in ("visible_to", "seen_whole_by", "managed_by"):
        assert not getattr(Organisation.objects, scope)(a2).exists()


def test_each_scope_of_organisations_is_of_this_person(acme, nordwind, a1, a2, a3, b1, g1):
    for person in (a1, a2, a3):
        assert list(Organisation.objects.visible_to(person)) == [acme]
        assert list(Organisation.objects.seen_whole_by(person)) == [acme]
    assert list(Organisation.objects.managed_by(a2)) == [acme]
    assert list(Organisation.objects.managed_by(b1)) == [nordwind]
    assert not Organisation.objects.managed_by(a1).exists()
    assert not Organisation.objects.managed_by(g1).exists()
    Membership.objects.filter(user=a3).update(visibility="own")
    assert not Organisation.objects.seen_whole_by(a3).exists()
    assert set(Organisation.objects.seen_whole_by(g1)) == {acme, nordwind}


def test_limited_staff_see_the_organisations_that_they_look_after(acme, nordwind, g1):
    g1.staff_limits.create(organisation=acme)
    assert set(Organisation.objects.visible_to(g1)) == {acme, nordwind}
    g1.is_limited = True
    assert list(Organisation.objects.visible_to(g1)) == [acme]
    assert list(Organisation.objects.seen_whole_by(g1)) == [acme]
