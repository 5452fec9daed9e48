"""What every API route shares: problem details, the door, token scopes, pagination, fields that are strict."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db.models import Model, QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers, status, viewsets
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.relations import MANY_RELATION_KWARGS, ManyRelatedField
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from portal import standard_form
from portal.models import ApiToken, Organisation

PROBLEM = "application/problem+json"
YEARS = range(2000, 2200)  # what no zone, calendar or page can break on
MOST_KEYS = 100


class Conflict(exceptions.APIException):
    """The state of the object forbids what was asked; the detail says what to do instead.

    `more` are further members of the problem: the present revision, say.
    """

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.more = more


class ProblemSerializer(serializers.Serializer):
    """A refusal (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, and what to do instead.")
    revision = serializers.IntegerField(required=False, help_text="With 409: the incident's present one.")

    def get_fields(self) -> dict[str, Any]:
        errors = serializers.DictField(required=False, help_text="With 400: what is wrong, by field.")
        return super().get_fields() | {"errors": errors}


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every refusal as RFC 9457: {type, title, status, detail, errors}."""
    error = _readable(error)
    response = exception_handler(error, context)
    if response is None:
        return None
    errors = response.data if isinstance(error, exceptions.ValidationError) else None
    response.data = {
        "type": "about:blank",
        "title": response.status_text,
        "status": response.status_code,
        "detail": _detail(error, response),
    } | getattr(error, "more", {})
    if errors is not None:
        response.data["errors"] = errors if isinstance(errors, dict) else {"non_field_errors": errors}
    response.content_type = PROBLEM
    request = context["request"]
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    return response


def _readable(error: Exception) -> Exception:
    """What a parser cannot read is the sender's mistake, not ours."""
    if isinstance(error, RecursionError):
        return exceptions.ParseError("The input is nested too deeply.")
    if isinstance(error, SuspiciousOperation):
        return exceptions.ParseError("The input has too many fields or is too large.")
    return error


def _detail(error: Exception, response: Response) -> str:
    if isinstance(error, exceptions.ValidationError):
        return _("The input was not accepted; see “errors”.")
    if isinstance(error, Http404):
        return _("There is nothing here, or it is not yours to see.")
    if isinstance(error, PermissionDenied):
        return _("You may not do this.")
    return str(getattr(error, "detail", response.status_text))


class TokenScope(BasePermission):
    """A read token only reads."""

    message = gettext_lazy("This token only reads. Use one for reading and writing.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        is_read_only = isinstance(token, ApiToken) and token.scope == ApiToken.Scope.READ
        return request.method in SAFE_METHODS or not is_read_only


def narrowed(queryset: QuerySet, request: Request, organisation: str = "organisation") -> QuerySet:
    """What a token that is bound to one organisation leaves of a queryset: nothing once its person left it."""
    token = request.auth
    if isinstance(token, ApiToken) and token.organisation_id:
        own = Organisation.objects.visible_to(token.user).filter(pk=token.organisation_id)
        return queryset.filter(**{f"{organisation}__in": own.values("pk")})
    return queryset


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


class ProblemSchema(AutoSchema):
    """Documents the refusals that every route may answer with."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        codes = ["400", "401", "403", "404"] + ([] if self.method == "GET" else ["409", "415"])
        bodies = super()._get_response_bodies(direction)
        for code in codes:
            bodies[code] = self._get_response_for_code(ProblemSerializer, code, [PROBLEM], direction)
        return bodies


class Door(viewsets.GenericViewSet):
    """A room's way into the API: by a session or a token within its scope; lists know their filters."""

    permission_classes = (IsAuthenticated, TokenScope)
    pagination_class = Pages
    schema = ProblemSchema()

    def perform_authentication(self, request: Request) -> None:
        """Authenticate now; a token that is not even text is a wrong one."""
        try:
            super().perform_authentication(request)
        except UnicodeDecodeError as error:
            raise exceptions.AuthenticationFailed() from error

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before a list answers: a filter that it does not know would silently show everything."""
        super().initial(request, *args, **kwargs)
        if self.action != "list":
            return
        filters = list(getattr(getattr(self, "filterset_class", None), "base_filters", ()))
        known = [*filters, Pages.page_query_param, Pages.page_size_query_param, "format"]
        errors = {name: [f"There is no such filter here. Use {', '.join(known)}."] for name in request.GET}
        unknown = {name: words for name, words in errors.items() if name not in known}
        if unknown:
            raise exceptions.ValidationError(unknown)


class Words(serializers.CharField):
    """Text that was sent as text: a number, say, is a mistake."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class MomentField(serializers.DateTimeField):
    """A time that says its zone, in years that every zone and calendar can show."""

    default_error_messages = {
        "zone": "Say the time zone, as in 2026-03-04T10:00:00Z.",
        "far": "Choose a time of this century.",
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            self.fail("zone")
        return super().enforce_timezone(value)

    def to_internal_value(self, value: Any) -> datetime:
        at = super().to_internal_value(value)
        if at.year not in YEARS:
            self.fail("far")
        return at


class DayField(serializers.DateField):
    """A date in years that every calendar can show."""

    default_error_messages = {"far": "Choose a date of this century."}

    def to_internal_value(self, value: Any) -> date:
        day = super().to_internal_value(value)
        if day.year not in YEARS:
            self.fail("far")
        return day


class StandardFormSchema(APIView):
    """The JSON schema of the standard format, which every `form` of this API holds to."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(standard_form.schema())


class KeysField(ManyRelatedField):
    """Several objects, each by its short name or id."""

    default_error_messages = {"many": "Give at most {most} at a time."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        if len(data) > MOST_KEYS:
            self.fail("many", most=MOST_KEYS)
        return super().to_internal_value(data)


class KeyField(serializers.SlugRelatedField):
    """An object by its short name (slug) or its id; shown by its short name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="slug", **kwargs)

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> KeysField:
        """A list of keys is a KeysField."""
        own = {name: kwargs[name] for name in MANY_RELATION_KWARGS if name in kwargs}
        return KeysField(child_relation=cls(*args, **kwargs), **own)

    def to_internal_value(self, data: Any) -> Model:
        text = str(data) if isinstance(data, int | str) and not isinstance(data, bool) else ""
        rows = self.get_queryset()
        if text.isascii() and text.isdecimal() and rows is not None and len(text) < 18:
            found = rows.filter(pk=int(data)).first()
            if found is not None:
                return found
        if isinstance(data, str) and "\0" in data:
            self.fail("invalid")
        return super().to_internal_value(data)


class PersonField(serializers.SlugRelatedField):
    """A person by e-mail address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="email", **kwargs)

    def to_internal_value(self, data: Any) -> Model:
        if not isinstance(data, str) or "\0" in data:
            self.fail("invalid")
        return super().to_internal_value(data.strip().lower())
