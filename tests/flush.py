"""The flush after a transactional test goes through the purge door, for nothing else may empty a timeline.

conftest.py calls `install()` once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone

from portal.timeline import guarded_models, purge_door


@contextmanager
def open_for_flush() -> Iterator[None]:
    """A flush inside this block passes the triggers on both databases."""
    with purge_door(by=None, reason="flush after a test", now=timezone.now()):
        if connection.vendor == "sqlite":
            # The flush may empty portal_purge first and so shut the door: let it find no event to delete.
            for model in guarded_models():
                model._base_manager.all()._raw_delete("default")
        else:
            # TRUNCATE refuses tables whose deferred checks are outstanding, the door's own row included.
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield


def _teardown_through_the_door(self: TransactionTestCase) -> None:
    with open_for_flush():
        # Cascading, because the swapped-out table of the token library refers to people, and no model to it.
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False, allow_cascade=True)


def install() -> None:
    """Make every transactional test's teardown use the door. Harmless when called again."""
    TransactionTestCase._fixture_teardown = _teardown_through_the_door
