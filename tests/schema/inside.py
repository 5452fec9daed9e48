"""The product in this process, for an actor who cannot be talked out of their place.

The engine asks from a thread of its own, one request after another: they share the test's connection, so all of a
run is one transaction in one database. What a request took from the actor (their token, membership, profile) is put
back after it: a revoked token stays revoked, and another one of the same person speaks from then on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db import connection, connections
from django.db.models import Model

from portal.models import ApiToken, User

SOCKETS = ("max_redirects", "verify", "cert", "proxies")
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


@dataclass
class Inside:
    """A WSGI application; `secret` is what the engine says, whichever token stands for it now."""

    actor: User | None
    secret: str = ""
    requests: int = 0
    seconds: float = 0.0
    inner: Any = field(default_factory=get_wsgi_application)

    def __post_init__(self) -> None:
        self.shared = connections["default"]
        self.shared.inc_thread_sharing()
        self.kept: list[Model] = []
        self.current = ""
        if self.actor is not None:
            self.kept = [self.actor, *self.actor.memberships.all()]
            self.token, self.secret = ApiToken.objects.create(user=self.actor)
            self.current = self.secret

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        began = time.perf_counter()
        connections["default"] = self.shared
        if self.secret and environ.get("HTTP_AUTHORIZATION") == f"Bearer {self.secret}":
            environ["HTTP_AUTHORIZATION"] = f"Bearer {self.current}"
        answer = self.inner(environ, start_response)
        body = [b"".join(answer)]
        answer.close()
        connection.run_on_commit.clear()  # nothing is ever committed
        if environ["REQUEST_METHOD"] not in SAFE:
            self.put_back()
        self.requests += 1
        self.seconds += time.perf_counter() - began
        return body

    def put_back(self) -> None:
        for row in self.kept:
            row.save_base(raw=True)  # no history of it
        if self.kept and not ApiToken.objects.filter(pk=self.token.pk).exists():
            self.token, self.current = ApiToken.objects.create(user=self.actor)


def without_sockets(send: Any) -> Any:
    """The library's own probes bring what only a socket can be told; its client in the process breaks on it."""

    def sent(self: Any, case: Any, **more: Any) -> Any:
        return send(self, case, **{k: v for k, v in more.items() if k not in SOCKETS})

    return sent
