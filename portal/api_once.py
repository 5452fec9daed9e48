"""`Idempotency-Key`: a request that is sent again is answered again, and carried out once.

The row of the key is there before the act, and locked while it runs; act and stored answer are one
transaction, so that a process that dies between them leaves a row without an answer, and the next repeat
acts. What was refused is not stored: nothing happened, and the repeat may fare better.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions, status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import person_of
from portal.api_problems import Conflict
from portal.models import ApiToken, IdempotentRequest
from portal.models.fields import sealed, unsealed

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
KEPT = timedelta(hours=24)
KEPT_HEADERS = ("ETag", "Location", "Link")


class Running(Conflict):
    """The first request with this key is not over."""

    wait = 1

    def __init__(self) -> None:
        super().__init__(_("The first request with this Idempotency-Key is still running. Ask again soon."))


class AnotherRequest(exceptions.APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "another_request"

    def __init__(self) -> None:
        super().__init__(_("This Idempotency-Key was used for another request. Choose a new one."))


def key_of(request: Request) -> str:
    """The key of a POST, or ""; ValidationError for one that is none."""
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None:
        return ""
    if not KEY.fullmatch(key):
        raise exceptions.ValidationError({HEADER: [_("Give 1 to 255 visible ASCII characters.")]})
    return key


def once(
    request: Request, key: str, act: Callable[[], Response], may_see: Callable[[Any], object]
) -> Response:
    """Carry `act` out, or give the answer that it had. `may_see` raises what the caller may not be shown any more."""
    now = timezone.now().replace(microsecond=0)
    print_ = fingerprint(request)
    person = person_of(request)
    fresh = {"fingerprint": print_, "created_at": now}
    made, _created = IdempotentRequest.objects.get_or_create(person=person, key=key, defaults=fresh)
    with transaction.atomic():
        row = _locked(made.pk)
        if row.created_at <= now - KEPT:
            row.status = None  # the purge has not come by
        if row.status is not None:
            return _replay(row, print_, may_see)
        response = act()
        row.fingerprint, row.created_at = print_, now
        _keep(row, response)
    return response


def _locked(pk: int) -> IdempotentRequest:
    try:
        return IdempotentRequest.objects.select_for_update(nowait=True).get(pk=pk)
    except OperationalError as error:
        raise Running() from error
    except IdempotentRequest.DoesNotExist as error:  # purged this instant
        raise Running() from error


def _keep(row: IdempotentRequest, response: Response) -> None:
    """Store the answer, sealed: it may hold a secret that is shown once."""
    body = JSONRenderer().render(response.data) if response.data is not None else b""
    row.status, row.body = response.status_code, sealed(base64.b64encode(body).decode()).encode()
    row.headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    row.save()


def _replay(row: IdempotentRequest, print_: str, may_see: Callable[[Any], object]) -> Response:
    if row.fingerprint != print_:
        raise AnotherRequest()
    body = base64.b64decode(unsealed(bytes(row.body).decode()))
    data = json.loads(body) if body else None
    may_see(data)
    headers = {**row.headers, "Idempotency-Replayed": "true"}
    return Response(data, status=row.status, headers=headers)


def fingerprint(request: Request) -> str:
    """Digest of who asks by what, method, address and input; of files their content."""
    by = request.auth.pk if isinstance(request.auth, ApiToken) else "session"
    parts = [by, request.method, request.get_full_path(), _canonical(request.data)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _canonical(data: Any) -> Any:
    if not hasattr(data, "lists"):
        return data
    return {
        name: [_of_file(v) if isinstance(v, UploadedFile) else v for v in vs] for name, vs in data.lists()
    }


def _of_file(file: UploadedFile) -> list[Any]:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return [file.name, file.size, digest.hexdigest()]


def purge(now: datetime) -> int:
    """Forget what is older than a day; returns how many."""
    gone, _by_model = IdempotentRequest.objects.filter(created_at__lt=now - KEPT).delete()
    return gone
