"""Refusals as problem details (RFC 9457): each kind has an address that says more of it, and never another."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, serializers, status
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
REFERENCE = "/api/v1/reference/"

# What each status is called: the word of its address, and its title.
KINDS: dict[int, tuple[str, Any]] = {
    400: ("invalid", gettext_lazy("The input was not accepted")),
    401: ("sign-in", gettext_lazy("Not signed in")),
    403: ("forbidden", gettext_lazy("Not allowed")),
    404: ("not-found", gettext_lazy("Not found")),
    405: ("method", gettext_lazy("This cannot be done here")),
    406: ("not-acceptable", gettext_lazy("Not available in this format")),
    409: ("conflict", gettext_lazy("The state forbids it")),
    412: ("changed", gettext_lazy("It changed meanwhile")),
    413: ("too-large", gettext_lazy("Too large")),
    415: ("media-type", gettext_lazy("This format is not read here")),
    422: ("idempotency-key", gettext_lazy("The Idempotency-Key is another request's")),
    429: ("too-many", gettext_lazy("Too many requests")),
    500: ("error", gettext_lazy("Our mistake")),
    503: ("not-stored", gettext_lazy("Not stored")),
}


class Conflict(exceptions.APIException):
    """The state of the object forbids what was asked; the detail says what to do instead.

    `more` are further members of the problem: the present revision, say.
    """

    status_code: int = status.HTTP_409_CONFLICT
    default_code = "conflict"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.more = more


class Changed(Conflict):
    """`If-Match` names a state that is not the present one."""

    status_code = status.HTTP_412_PRECONDITION_FAILED


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = gettext_lazy("The input is too large.")
    default_code = "too_large"


class ProblemSerializer(serializers.Serializer):
    """A refusal (RFC 9457)."""

    type = serializers.CharField(help_text="The kind of problem: an address in this reference.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, and what to do instead.")
    revision = serializers.IntegerField(required=False, help_text="With 409 and 412: the present one.")
    etag = serializers.CharField(required=False, help_text="With 412: the present one.")
    request_id = serializers.CharField(required=False, help_text="With 500: name it when you ask us.")

    def get_fields(self) -> dict[str, Any]:
        errors = serializers.DictField(required=False, help_text="With 400: what is wrong, by field.")
        return super().get_fields() | {"errors": errors}


def problem(code: int, detail: str, **more: Any) -> dict[str, Any]:
    """The members of a problem of this status."""
    word, title = KINDS.get(code, ("problem", ""))
    return {
        "type": f"{REFERENCE}#problem-{word}",
        "title": str(title) or exceptions.APIException.default_code,
        "status": code,
        "detail": detail,
    } | more


def problem_details(error: Exception, context: dict[str, Any]) -> Response:
    """Every refusal as RFC 9457: {type, title, status, detail, errors}; what is our mistake with a request id."""
    error = _readable(error)
    response = exception_handler(error, context)
    if response is None:
        response = Response(_mistake(error, context["request"]), status=500)
    else:
        errors = response.data if isinstance(error, exceptions.ValidationError) else None
        more = dict(getattr(error, "more", {}))
        if errors is not None:
            more["errors"] = errors if isinstance(errors, dict) else {"non_field_errors": errors}
        response.data = problem(response.status_code, _detail(error, response), **more)
        if tag := more.get("etag"):
            response.headers["ETag"] = tag
    response.content_type = PROBLEM
    request = context["request"]
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    return response


def _mistake(error: Exception, request: Any) -> dict[str, Any]:
    """What we tell of an error of ours: nothing but the id under which the log has it."""
    request_id = secrets.token_hex(8)
    logger.error("request %s failed: %s %s", request_id, request.method, request.path, exc_info=error)
    got_request_exception.send(sender=problem_details, request=getattr(request, "_request", request))
    return problem(500, _("This is our mistake. Tell us the request id."), request_id=request_id)


def _readable(error: Exception) -> Exception:
    """What a parser cannot read is the sender's mistake, not ours."""
    if isinstance(error, RecursionError):
        return exceptions.ParseError("The input is nested too deeply.")
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    if isinstance(error, SuspiciousOperation):
        return exceptions.ParseError("The input has too many fields or is too large.")
    return error


def _detail(error: Exception, response: Response) -> str:
    if isinstance(error, exceptions.ValidationError):
        return _("The input was not accepted; see “errors”.")
    if isinstance(error, Http404):
        return _("There is nothing here, or it is not yours to see.")
    if isinstance(error, PermissionDenied):
        return str(error) or _("You may not do this.")
    return str(getattr(error, "detail", response.status_text))


@csrf_exempt  # it does nothing
def no_such_address(request: HttpRequest, rest: str = "") -> HttpResponse:
    """What answers below /api/ where there is nothing."""
    said = problem(404, _("There is nothing here, or it is not yours to see."))
    return JsonResponse(said, status=404, content_type=PROBLEM)
