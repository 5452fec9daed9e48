"""Pager and SMS services for people on call, by apprise, which is optional.

Apprise does its own HTTP and so passes by our guard: only services whose host the address cannot choose
are let through (PAGER_SCHEMAS), and of these only with certificates checked, no redirect and few calls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _

from portal.channels import guard
from portal.channels.base import Permanent, Rendered, Sent, Temporary, one_line, storable

if TYPE_CHECKING:
    from portal.models import Endpoint

SCHEME = re.compile(r"([a-z0-9]+)://[\x21-\x7e]+", re.IGNORECASE)
SECONDS = 4.0  # for connecting, and for each word of an answer
CALLS = 3  # of one message: together they end before the lease does
WAKES = (
    "failure"  # apprise's kind of message: for less than that some services wake nobody, or close an alert
)
TEXT = 600  # characters: a pager and an SMS are read at a glance


def scheme_of(url: str) -> str:
    """The service that the address names. Refused unless the installation lets it through."""
    found = SCHEME.fullmatch(url)
    scheme = found[1].lower() if found else ""
    if scheme not in settings.PAGER_SCHEMAS:
        names = ", ".join(f"{name}://" for name in settings.PAGER_SCHEMAS)
        raise guard.Refused(_("The address must begin with one of %(names)s.") % {"names": names})
    return scheme


def origin_of(url: str) -> str:
    """All of the address that is no secret; "—" for one that leads nowhere."""
    try:
        return f"{scheme_of(url)}://"
    except guard.Refused:
        return "—"


def check(url: str) -> Any:
    """The service behind the address, ready to be used. Refused with the reason if it may not be."""
    scheme_of(url)
    apprise = _apprise()
    asset = apprise.AppriseAsset(http_redirects=False, secure_logging=True)
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise guard.Refused(_("This is not a complete address of that service."))
    if "host" in service.template_tokens or not service.secure_protocol:
        raise guard.Refused(_("The address of this service chooses a host: use a webhook for it."))
    if not service.verify_certificate:
        raise guard.Refused(_("The service's certificate has to be checked: leave “verify” out."))
    if len(service) > CALLS:
        raise guard.Refused(_("One address may name up to %(count)s targets.") % {"count": CALLS})
    service.redirects = False
    service.socket_connect_timeout = service.socket_read_timeout = SECONDS
    return service


def _apprise() -> Any:
    try:
        import apprise  # noqa: PLC0415 (optional, and slow to load)
    except ImportError as error:
        words = _("Pager and SMS services need the package “apprise”: install support-portal[pager].")
        raise guard.Refused(words) from error
    return apprise


def send(endpoint: Endpoint, rendered: Rendered) -> Sent:
    """Hand a message to the service. Raises Temporary or Permanent, without a word of the address."""
    try:
        service = check(endpoint.url)
    except guard.Refused as error:
        raise Permanent(str(error)) from error
    title = one_line(rendered.subject)
    body = "\n\n".join(part for part in (_short(storable(rendered.text).strip()), rendered.url) if part)
    try:
        is_accepted = service.notify(title=title, body=body, body_format="text", notify_type=WAKES)
    except Exception as error:  # whatever a plug-in raises may quote the address
        raise Temporary(f"{endpoint.origin} failed: {type(error).__name__}") from None
    if not is_accepted:
        raise Temporary(f"{endpoint.origin} did not accept the message; the worker's log says why")
    return Sent(
        address=endpoint.origin,
        subject=title,
        text=body,
        html="",
        headers={},
        answer="accepted by the service",
    )


def _short(text: str) -> str:
    return text if len(text) <= TEXT else text[: TEXT - 1].rstrip() + "…"
