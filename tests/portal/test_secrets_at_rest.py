"""What a copy of the database gives away: nothing that opens anything."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from portal.models import Endpoint
from portal.models.fields import sealed, unsealed
from tests import factories

COLUMNS = ("url", "secret", "previous_secret", "access_token", "signing_secret")


@pytest.fixture
def room(acme):
    return factories.channel(acme, **{name: f"https://acme.example/{name}-hush" for name in COLUMNS})


def stored() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {Endpoint._meta.db_table}")
        return list(cursor.fetchone())


def test_no_secret_of_an_endpoint_can_be_read_in_the_database(room):
    assert not any("hush" in text or "acme" in text for text in stored())
    found = Endpoint.objects.get()
    assert [getattr(found, name) for name in COLUMNS] == [
        f"https://acme.example/{name}-hush" for name in COLUMNS
    ]


def test_two_equal_secrets_do_not_look_alike(room):
    assert sealed("same") != sealed("same")


def test_an_empty_secret_stays_empty(acme):
    factories.channel(acme, access_token="")
    assert stored()[COLUMNS.index("access_token")] == ""
    assert Endpoint.objects.get().access_token == ""


def test_an_update_of_rows_is_encrypted_too(room):
    Endpoint.objects.update(secret="plain-hush")
    assert "hush" not in stored()[COLUMNS.index("secret")]
    assert Endpoint.objects.get().secret == "plain-hush"


def test_a_changed_key_is_said_and_the_former_one_still_reads(settings):
    kept = sealed("hush")
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another-key-" * 5
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FALLBACKS"):
        unsealed(kept)
    settings.SECRET_KEY_FALLBACKS = [former]
    assert unsealed(kept) == "hush"


def test_whoever_changes_a_stored_secret_breaks_it(room):
    text = sealed("hush")
    forged = text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")
    with pytest.raises(ImproperlyConfigured):
        unsealed(forged)
