"""The Celery application. Tasks carry wake-ups only: every task re-reads the rows that decide."""

import os
from typing import Any

from celery import Celery, Task
from celery.signals import setup_logging

from portal.request_ids import NAME, bound, new_id, plain_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")


class Work(Task):
    """Lines of a task bear the id of the request that woke it; those of the clockwork's one of its own."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        said = plain_id((self.request.headers or {}).get(NAME))
        with bound(said or new_id()):
            return super().__call__(*args, **kwargs)


app = Celery("portal", task_cls=Work)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logs(**_details: Any) -> None:
    """Celery leaves the logging alone that Django's settings have set up: level and format are one for all."""
