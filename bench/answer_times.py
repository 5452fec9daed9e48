"""How long a stranger waits for an answer about an account that is in use, unknown, disabled or without a password.

    DEBUG=true python -m bench.answer_times [rounds]

Prints the median of each in milliseconds, and by how much the slowest differs from the fastest; more than 15 %
tells who has an account. In a database of its own, in memory; takes turns, so that the machine's load is shared.
"""

from __future__ import annotations

import os
import sys
import time
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
os.environ["DATABASE_URL"] = "sqlite://:memory:"

import django

PASSWORD = "correct horse battery"
KINDS = ("known", "unknown", "disabled", "passwordless")


def took(path: str, form: dict[str, str]) -> float:
    from django.core.cache import cache
    from django.test import Client

    cache.clear()
    client = Client()
    started = time.perf_counter()
    client.post(path, form)
    return (time.perf_counter() - started) * 1000


def measure(name: str, path: str, fields: dict[str, str], rounds: int) -> None:
    times = {kind: [] for kind in KINDS}
    field = "email" if "reset" in path else "login"
    for _ in range(rounds + 1):
        for kind in KINDS:
            times[kind].append(took(path, {field: f"{kind}@example.com"} | fields))
    medians = {kind: median(values[1:]) for kind, values in times.items()}
    spread = max(medians.values()) / min(medians.values()) - 1
    print(name, {kind: f"{value:.0f} ms" for kind, value in medians.items()}, f"{spread:.1%}")


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from portal.models import User

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    User.objects.create_user("known@example.com", PASSWORD, name="Known")
    User.objects.create_user("disabled@example.com", PASSWORD, name="Disabled", is_active=False)
    User.objects.create_user("passwordless@example.com", None, name="By a provider only")
    measure("sign-in", "/accounts/login/", {"password": "not the password"}, rounds)
    measure("reset", "/accounts/password/reset/", {}, rounds)


if __name__ == "__main__":
    main()
