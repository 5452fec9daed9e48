"""What the portal asks of identity providers: by the guarded line that webhooks go by, in no other way.

No address of an inner network is reached (unless IDENTITY_ALLOWED_HOSTS names it), no redirect is followed,
no proxy or password file of the environment is used, and each call ends in time and has a limit of size.
"""

from __future__ import annotations

import contextlib
import http.client
from typing import Any

import requests
from django.conf import settings
from django.utils.translation import gettext as _
from requests.adapters import BaseAdapter

from portal.channels import calls, guard
from portal.channels.limit import Guard

ANSWER_BYTES = 512 * 1024


class Unreachable(requests.RequestException):
    """Nothing proper was answered; the text says why, and holds no secret."""


def check(url: str) -> guard.Target:
    """The address, read. guard.Refused with the reason if it must not be asked."""
    return guard.check(url, settings.IDENTITY_ALLOWED_HOSTS)


def session() -> requests.Session:
    """A session of `requests` that can do nothing but guarded calls."""
    made = requests.Session()
    made.trust_env = False
    made.adapters.clear()
    made.mount("https://", Transport())
    made.mount("http://", Transport())  # refused by the guard, unless the installation names the host
    return made


class Transport(BaseAdapter):
    """How a request of `requests` goes out."""

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:
        limit = Guard()
        try:
            with limit.limit(calls.TOTAL_SECONDS):
                target = check(request.url or "")
                with contextlib.closing(calls.open_line(target, limit)) as line:
                    return _ask(target, line, request)
        except guard.Refused as error:
            raise Unreachable(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, Unreachable):  # it is an OSError, too
                raise
            late = _("it took longer than %(seconds)g s") % {"seconds": calls.TOTAL_SECONDS}
            raise Unreachable(late if limit.is_over else calls.in_words(error)) from error
        finally:
            limit.forget()

    def close(self) -> None:
        """Every line is closed when its call ends."""


def _ask(target: guard.Target, line: Any, request: requests.PreparedRequest) -> requests.Response:
    call = calls.Call(target.host, target.port)
    call.sock = line
    kept = {name: value for name, value in request.headers.items() if name.lower() != "accept-encoding"}
    headers = {**kept, "Host": target.netloc, "Connection": "close"}
    body = request.body if isinstance(request.body, bytes | str) else None  # a form, or nothing
    call.request(request.method or "GET", target.path, body, headers)
    with call.getresponse() as answer:
        if 300 <= answer.status < 400:
            raise Unreachable(_("it answered with a redirect, and none is followed"))
        content = answer.read(ANSWER_BYTES + 1)
        if len(content) > ANSWER_BYTES:
            raise Unreachable(_("its answer is too long"))
        return _response(request, answer, content)


def _response(
    request: requests.PreparedRequest, answer: http.client.HTTPResponse, content: bytes
) -> requests.Response:
    made = requests.Response()
    made.status_code, made.reason = answer.status, calls.hide(answer.reason, [])
    made.headers.update(dict(answer.getheaders()))
    made.url, made.request, made.encoding = request.url or "", request, "utf-8"
    made._content = content
    return made
