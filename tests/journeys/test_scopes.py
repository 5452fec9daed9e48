"""`visible_to(user)` of every model: nothing, and not even a question to the database, for whoever is nobody."""

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser

from portal.models import Organisation

SCOPED = [
    model
    for app in ("portal", "incidents", "maintenance")
    for model in apps.get_app_config(app).get_models()
    if hasattr(model._default_manager, "visible_to")
]


def nothing(model, user, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert list(model._default_manager.visible_to(user)) == []


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model.__name__)
def test_an_anonymous_visitor_sees_nothing_of_it(model, django_assert_num_queries, db):
    nothing(model, AnonymousUser(), django_assert_num_queries)


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model.__name__)
@pytest.mark.parametrize("who", ["a1", "a2", "g1", "h1"])
def test_whoever_was_switched_off_sees_nothing_of_it(model, who, request, django_assert_num_queries):
    person = request.getfixturevalue(who)
    person.is_active = False
    nothing(model, person, django_assert_num_queries)


@pytest.mark.parametrize("scope", ["visible_to", "seen_whole_by", "managed_by"])
@pytest.mark.parametrize("who", ["a2", "g1"])
def test_whoever_was_switched_off_has_no_organisation(scope, who, request, acme, django_assert_num_queries):
    person = request.getfixturevalue(who)
    assert scope == "managed_by" or getattr(Organisation.objects, scope)(person).exists()
    person.is_active = False
    with django_assert_num_queries(0):
        assert list(getattr(Organisation.objects, scope)(person)) == []


@pytest.mark.parametrize("scope", ["visible_to", "seen_whole_by", "managed_by"])
def test_an_anonymous_visitor_has_no_organisation(scope, acme, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert list(getattr(Organisation.objects, scope)(AnonymousUser())) == []
