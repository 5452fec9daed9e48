"""What every API route shares: problem details, token scopes, pagination, key fields."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions, serializers, status
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from portal.models import ApiToken


class Conflict(exceptions.APIException):
    """The state of the object forbids what was asked; the detail says what to do instead."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every refusal as RFC 9457: {type, title, status, detail, errors}."""
    response = exception_handler(error, context)
    if response is None:
        return None
    errors = response.data if isinstance(error, exceptions.ValidationError) else None
    response.data = {
        "type": "about:blank",
        "title": response.status_text,
        "status": response.status_code,
        "detail": _detail(error, response),
    }
    if errors is not None:
        response.data["errors"] = errors if isinstance(errors, dict) else {"non_field_errors": errors}
    response.content_type = "application/problem+json"
    return response


def _detail(error: Exception, response: Response) -> str:
    if isinstance(error, exceptions.ValidationError):
        return _("The input was not accepted; see “errors”.")
    if isinstance(error, Http404 | exceptions.NotFound):
        return _("There is nothing here, or it is not yours to see.")
    if isinstance(error, PermissionDenied):
        return _("You may not do this.")
    return str(getattr(error, "detail", response.status_text))


class TokenScope(BasePermission):
    """A read token only reads."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        is_read_only = isinstance(token, ApiToken) and token.scope == ApiToken.Scope.READ
        return request.method in SAFE_METHODS or not is_read_only


def narrowed(queryset: QuerySet, request: Request, organisation: str = "organisation") -> QuerySet:
    """What a token that is bound to one organisation leaves of a queryset."""
    token = request.auth
    if isinstance(token, ApiToken) and token.organisation_id:
        return queryset.filter(**{organisation: token.organisation_id})
    return queryset


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


class KeyField(serializers.SlugRelatedField):
    """An object by its short name (slug) or its id; shown by its short name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="slug", **kwargs)

    def to_internal_value(self, data: Any) -> Model:
        is_id = isinstance(data, int | str) and not isinstance(data, bool) and str(data).isdecimal()
        rows = self.get_queryset()
        if is_id and rows is not None and len(str(data)) < 18:
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
