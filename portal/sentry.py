"""Errors to a Sentry of one's own, where SENTRY_DSN says so. Without it nothing is imported and nothing is sent.

What is sent says what failed and where in the code, and nothing of whom it failed for: no address, form, cookie,
header or local variable, and no text of an error, for those repeat what people wrote. The request's id is sent
along: by it the log, which stays in the house, tells the rest.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from portal.logs import hidden
from portal.request_ids import NAME, current_id

OF_EVENT = frozenset(
    ["event_id", "timestamp", "level", "logger", "platform", "release", "environment", "transaction", "sdk"]
)
OF_ERROR = frozenset(["type", "module", "mechanism", "thread_id"])
OF_MECHANISM = frozenset(["type", "handled", "exception_id", "parent_id", "is_exception_group"])
OF_FRAME = frozenset(["filename", "function", "lineno", "module", "in_app"])
OF_LOG = frozenset(["message"])  # the sentence, without what was set into it


def start(dsn: str, environment: str, transport: Any = None) -> None:
    """Send errors from now on, by `transport` or over the net.

    ImproperlyConfigured where the package is missing or the address is none.
    """
    try:
        import sentry_sdk  # noqa: PLC0415 (an extra, imported only where it is used)
        from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415
        from sentry_sdk.integrations.django import DjangoIntegration  # noqa: PLC0415
        from sentry_sdk.utils import BadDsn  # noqa: PLC0415
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, and the package sentry-sdk is not installed. "
            "Install the extra “sentry”, or unset SENTRY_DSN."
        ) from error
    # A view by the name of its function: an address may hold a token.
    ours = [DjangoIntegration(transaction_style="function_name", middleware_spans=False), CeleryIntegration()]
    try:
        sentry_sdk.init(dsn, environment=environment, transport=transport, integrations=ours, **SILENT)
    except BadDsn as error:
        raise ImproperlyConfigured("SENTRY_DSN is no address of a Sentry project.") from error


def scrubbed(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """Of an event what is named above, and no secret in it."""
    kept = only(event, OF_EVENT)
    errors = (event.get("exception") or {}).get("values") or []
    if errors:
        kept["exception"] = {"values": [error_of(error) for error in errors]}
    if event.get("logentry"):
        kept["logentry"] = only(event["logentry"], OF_LOG)
    kept["tags"] = {NAME: current_id()}
    return clean(kept)


def error_of(error: dict[str, Any]) -> dict[str, Any]:
    """Its type and where it was raised."""
    kept = only(error, OF_ERROR)
    if kept.get("mechanism"):
        kept["mechanism"] = only(kept["mechanism"], OF_MECHANISM)
    frames = (error.get("stacktrace") or {}).get("frames") or []
    return kept | {"stacktrace": {"frames": [only(frame, OF_FRAME) for frame in frames]}}


def only(found: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in names}


def clean(value: Any) -> Any:
    """The same with “…” in place of secrets, at any depth."""
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        return {name: clean(each) for name, each in value.items()}
    return [clean(each) for each in value] if isinstance(value, list | tuple) else value


SILENT: dict[str, Any] = {
    "send_default_pii": False,
    "auto_enabling_integrations": False,
    "include_local_variables": False,
    "include_source_context": False,
    "max_request_body_size": "never",
    "max_breadcrumbs": 0,
    "send_client_reports": False,
    "auto_session_tracking": False,
    "traces_sample_rate": None,
    "trace_propagation_targets": [],  # receivers of webhooks hear nothing of it
    "before_send": scrubbed,
}
