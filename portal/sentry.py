"""Errors to a Sentry of one's own, where SENTRY_DSN says so. Without it nothing is imported and nothing is sent.

What is sent says where the product failed, not for whom: no form, cookie, header, address, name or local
variable, and no secret in any text.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from portal.logs import hidden
from portal.request_ids import NAME, current_id

PERSONAL = ("user", "server_name", "extra", "modules")
OF_REQUEST = ("method", "url")  # the rest of a request is what people wrote


def start(dsn: str, environment: str) -> None:
    """Send errors from now on. ImproperlyConfigured where the package is missing or the address is none."""
    try:
        import sentry_sdk  # noqa: PLC0415 (an extra, imported only where it is used)
        from sentry_sdk.utils import BadDsn  # noqa: PLC0415
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, and the package sentry-sdk is not installed. Install the extra “sentry”, or unset SENTRY_DSN."
        ) from error
    try:
        sentry_sdk.init(dsn, environment=environment, **SILENT)
    except BadDsn as error:
        raise ImproperlyConfigured("SENTRY_DSN is no address of a Sentry project.") from error


def scrubbed(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """The event without what is personal, and without secrets in what is left."""
    kept = {name: value for name, value in event.items() if name not in PERSONAL}
    if "request" in kept:
        said = {name: kept["request"].get(name) for name in OF_REQUEST}
        kept["request"] = said | {"url": str(said["url"] or "").partition("?")[0]}
    kept["tags"] = dict(kept.get("tags") or {}) | {NAME: current_id()}
    return clean(kept)


def clean(value: Any) -> Any:
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        return {clean(name): clean(each) for name, each in value.items() if name != "vars"}
    return [clean(each) for each in value] if isinstance(value, list | tuple) else value


SILENT: dict[str, Any] = {
    "send_default_pii": False,
    "include_local_variables": False,
    "include_source_context": False,
    "max_request_body_size": "never",
    "max_breadcrumbs": 0,
    "send_client_reports": False,
    "auto_session_tracking": False,
    "traces_sample_rate": None,
    "before_send": scrubbed,
}
