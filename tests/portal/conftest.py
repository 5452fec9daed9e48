"""Receivers of webhooks and chat messages, and a kind of message that says what its facts say."""

from __future__ import annotations

import contextlib

import pytest

from portal import outbox
from portal.channels.base import Rendered
from portal.models import Endpoint, OutboxMessage
from tests.webhook_sink import Sink


@pytest.fixture
def receiver(settings, tmp_path, db):
    """Make receivers: `receiver(status=500)` is a running one, with its endpoint in `.endpoint`.

    `of` is the endpoint's organisation, `use` what it is used as; all else is the sink's.
    """
    with contextlib.ExitStack() as stack:
        made = []

        def make(*, of=None, use="", person=None, **options) -> Sink:
            sink = stack.enter_context(Sink(0, tmp_path / f"{len(made)}", **options))
            made.append(sink)
            settings.WEBHOOK_ALLOWED_HOSTS = [sink.host for sink in made]
            sink.endpoint = Endpoint.objects.create(
                name=f"Room {len(made)}",
                url=sink.url,
                organisation=of,
                person=person,
                use=use or ("channel" if of else "pager"),
                service=sink.service,
                access_token=sink.token,
                room_id=sink.room,
            )
            return sink

        yield make


@pytest.fixture
def plain(monkeypatch):
    """A kind of message that says its facts, for as long as these give no reason not to."""

    def render(message: OutboxMessage) -> Rendered:
        if message.facts.get("is_broken"):
            raise RuntimeError("the template is broken")
        words = {"subject": message.dedupe_key, "text": "Text.\n", "html": ""} | {
            name: value for name, value in message.facts.items() if name in Rendered.__annotations__
        }
        return Rendered(**words)

    kind = outbox.MessageKind("plain", render, lambda message: message.facts.get("why_not", ""))
    monkeypatch.setitem(outbox.KINDS, "plain", kind)
