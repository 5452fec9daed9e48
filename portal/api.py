"""What every API route shares: problem details, the door, token scopes, pagination, fields that are strict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers, viewsets
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.relations import MANY_RELATION_KWARGS, ManyRelatedField
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal import api_once as once
from portal import standard_form
from portal.api_auth import TokenScope as TokenScope
from portal.api_auth import narrowed as narrowed
from portal.api_auth import only_service as only_service
from portal.api_filters import YEARS
from portal.api_limits import Limited
from portal.api_pages import CURSOR, SIZE, Nested
from portal.api_pages import Pages as Pages
from portal.api_problems import PROBLEM as PROBLEM
from portal.api_problems import Changed
from portal.api_problems import Conflict as Conflict
from portal.api_problems import ProblemSerializer as ProblemSerializer
from portal.api_problems import problem_details as problem_details
from portal.api_tags import holds, not_modified, revision_in, tag_of

MOST_KEYS = 100


class PersonTokenScheme(OpenApiAuthenticationExtension):
    """How the schema speaks of it."""

    target_class = "portal.api_auth.PersonToken"
    name = "personToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        words = "A person's token, made in the portal under “API tokens”."
        return {"type": "http", "scheme": "bearer", "description": words}


class ProblemSchema(AutoSchema):
    """Documents what every route may answer and be asked with."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        is_read = self.method == "GET"
        codes = ["400", "401", "403", "404", "406", "429", "500"]
        codes += [] if is_read else ["409", "412", "413", "415"]
        codes += ["422"] if self.method == "POST" else []
        for code in codes:
            bodies[code] = self._get_response_for_code(ProblemSerializer, code, [PROBLEM], direction)
        if is_read and isinstance(self.view, Door):
            bodies["304"] = {"description": "What you have is what there is."}
        return bodies

    def get_override_parameters(self) -> list[Any]:
        found = list(super().get_override_parameters())
        if not isinstance(self.view, Door):
            return found
        if self.method == "GET":
            return [*found, IF_NONE_MATCH]
        return [*found, IF_MATCH, *([IDEMPOTENCY_KEY] if self.method == "POST" else [])]

    def _get_request_for_media_type(self, serializer: Any, direction: Any = "request") -> Any:
        """A PATCH needs what its serializer says: nothing is left out unless that is partial."""
        if self.method != "PATCH" or getattr(serializer, "partial", False):
            return super()._get_request_for_media_type(serializer, direction)
        self.method = "PUT"
        try:
            return super()._get_request_for_media_type(serializer, direction)
        finally:
            self.method = "PATCH"

    def _get_paginator(self) -> Any:
        """Only what is answered in pages: a list, or an array below an object."""
        pages = getattr(self.view, "pagination_class", None)
        is_list = getattr(self.view, "action", "") == "list"
        is_paged = self.method == "GET" and (is_list or (pages is not None and issubclass(pages, Nested)))
        return super()._get_paginator() if is_paged else None

    def get_paginated_name(self, serializer_name: str) -> str:
        """An array below an object is another shape than a list in pages."""
        pages: Any = getattr(self.view, "pagination_class", None)
        is_array = pages.get_paginated_response is Nested.get_paginated_response
        return f"{serializer_name}Array" if is_array else super().get_paginated_name(serializer_name)

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        """Of a list of objects also how many they may be."""
        found = super()._map_serializer_field(field, direction, bypass_extensions)
        if direction == "request" and isinstance(field, serializers.ListSerializer):
            listed: Any = field
            fewest = listed.min_length or int(not listed.allow_empty)
            bounds = {"minItems": fewest or None, "maxItems": listed.max_length}
            found |= {name: bound for name, bound in bounds.items() if bound is not None}
        return found

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """A text that may be empty is one kind of text, not one of two that both hold the empty one."""
        super()._insert_field_validators(field, schema)
        if isinstance(field, Words) and "oneOf" in schema:
            schema |= schema.pop("oneOf")[0]

    def get_filter_backends(self) -> list[Any]:
        """Only a list is filtered."""
        return super().get_filter_backends() if getattr(self.view, "action", "") == "list" else []


def _header(name: str, words: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=words)


IF_NONE_MATCH = _header("If-None-Match", "The ETag of what you have: 304 if that is what there is.")
IF_MATCH = _header("If-Match", "The ETag that you acted on: 412 if the object changed since.")
IDEMPOTENCY_KEY = OpenApiParameter(
    once.HEADER,
    {"type": "string", "pattern": "^[\\x21-\\x7e]+$", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="A key of your choice: the same request with it is carried out once, and answered alike, for a day.",
)


class Door(Limited, viewsets.GenericViewSet):
    """A room's way into the API: by a session or a token within its scope; lists know their filters."""

    permission_classes: Any = (IsAuthenticated, TokenScope)
    pagination_class: Any = Pages
    schema = ProblemSchema()
    order: tuple[str, ...] = ("pk",)  # of a list's pages: never null, the last one unique
    service_path: ClassVar[str | None] = (
        None  # to the services of a row: else no token of one service comes in
    )
    is_single: ClassVar[bool] = False  # whether there is one object for each caller, that no key names
    reads: ClassVar[dict[str, tuple[str, ...]]] = {}  # of each action the query parameters that it reads

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before anything is done: unknown parameters, what is only to be done to a known state, and only once."""
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        name = str(request.method).lower()
        handler = getattr(self, name, None)
        if handler is None:
            return
        self.refuse_unknown()
        if request.method not in SAFE_METHODS and "If-Match" in request.headers:
            handler = partial(self.if_unchanged, handler)
        if key := once.key_of(request):
            handler = partial(self.once, key, handler)
        setattr(self, name, handler)

    def refuse_unknown(self) -> None:
        """A parameter that is not known would silently show everything."""
        known = [*self.known_parameters(), "format"]
        words = _("There is no such parameter here. Use %(known)s.") % {"known": ", ".join(known)}
        unknown = {name: [words] for name in self.request.GET if name not in known}
        if unknown:
            raise exceptions.ValidationError(unknown)

    def known_parameters(self) -> list[str]:
        own = list(self.reads.get(self.action or "", ()))
        if self.request.method not in SAFE_METHODS or self.pagination_class is None:
            return own
        if self.action == "list":
            filters = getattr(getattr(self, "filterset_class", None), "base_filters", ())
            return [*filters, *own, CURSOR, SIZE]
        return [*own, CURSOR, SIZE] if issubclass(self.pagination_class, Nested) else own

    # --- carried out once, on a known state ---

    def once(self, key: str, handler: Callable[..., Response], /, *args: Any, **kwargs: Any) -> Response:
        return once.once(self.request, key, lambda: handler(*args, **kwargs), self.still_shown)

    def still_shown(self, data: Any) -> None:
        """Raise what keeps the caller from the object of a stored answer: a role may have ended since."""
        name = self.lookup_url_kwarg or self.lookup_field
        if name not in self.kwargs:
            shown = data if isinstance(data, dict) else {}
            self.kwargs[name] = str(shown.get("id" if self.lookup_field == "pk" else self.lookup_field, ""))
        self.get_object()

    def if_unchanged(self, handler: Callable[..., Response], /, *args: Any, **kwargs: Any) -> Response:
        if not self.is_single and (self.lookup_url_kwarg or self.lookup_field) not in self.kwargs:
            raise Changed(_("If-Match is for an object, and this address names none. Leave it out."))
        with transaction.atomic():
            self.hold()
            present = self.tag(self.state())
            if not holds(self.request.headers["If-Match"], present):
                words = _("It changed since you read it. Read what is new, then send again.")
                revision = revision_in(present)
                raise Changed(words, etag=present, **({} if revision is None else {"revision": revision}))
            return handler(*args, **kwargs)

    def hold(self) -> None:
        """Lock the object until the transaction ends, so that what is compared is what is changed."""
        found = self.get_object()
        type(found)._base_manager.select_for_update(of=("self",)).get(pk=found.pk)

    def state(self) -> Any:
        """The object as a GET would show it now."""
        return self.get_serializer(self.get_object()).data

    def tag(self, data: Any) -> str:
        return tag_of(data)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        is_read = request.method in ("GET", "HEAD")
        data = getattr(response, "data", None)
        if response.status_code not in (200, 201) or not (is_read or "revision" in (data or ())):
            return response
        response.headers["ETag"] = self.tag(data)
        if not_modified(request, response):
            return self.without_body(response)
        return response

    @staticmethod
    def without_body(response: Any) -> HttpResponse:
        kept = ("ETag", "Cache-Control", "Vary", "Link", "RateLimit", "RateLimit-Policy")
        return HttpResponse(
            status=304, headers={n: response.headers[n] for n in kept if n in response.headers}
        )

    def listed(self, shape: type[serializers.BaseSerializer], rows: Any, **context: Any) -> Response:
        """A list below an object: an array, with `Link` to the next rows where there are more than a page of them."""
        pages = Nested(order_of(rows))
        found = (
            pages.paginate_queryset(rows, self.request, None) if isinstance(rows, QuerySet) else list(rows)
        )
        shown = shape(found, many=True, context=context).data
        return pages.linked(shown) if isinstance(rows, QuerySet) else Response(shown)


def order_of(rows: Any) -> tuple[str, ...]:
    """The order of a queryset, its own or its model's, made total by the key."""
    if not isinstance(rows, QuerySet):
        return ()
    order = tuple(rows.query.order_by or rows.model._meta.ordering)
    return order if order and order[-1].lstrip("-") in ("pk", "id") else (*order, "pk")


class Words(serializers.CharField):
    """Text that was sent as text: a number, say, is a mistake."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


# What no text holds, and what one that may not be blank holds at least one of.
ANY_TEXT, SOME_TEXT = "^[^\\x00]*$", "^[^\\x00]*[^\\s\\x00-\\x1f\\x85][^\\x00]*$"


class WordsSchema(OpenApiSerializerFieldExtension):
    """Says of a text that it holds no NUL, and more than blanks where it must."""

    target_class = "portal.api.Words"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        found = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        if direction == "request":
            found["pattern"] = ANY_TEXT if self.target.allow_blank else SOME_TEXT
        return found


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


class StandardFormSchema(Limited, APIView):
    """The JSON schema of the standard format, which every `form` of this API holds to."""

    schema = ProblemSchema()

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


class KeysSchema(OpenApiSerializerFieldExtension):
    """Says of keys how many they may be."""

    target_class = "portal.api.KeysField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        found = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        return found | ({"maxItems": MOST_KEYS} if direction == "request" else {})


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
