"""The hatch for alarms: `POST /api/v1/alarms/{alertmanager,grafana,generic}/` with the source's token.

202 says that the alerts are safe. A sender repeats what got a 5xx, so nothing else is said of what could
not be stored. Neither a session nor a person's token opens it.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from incidents.intake.alarms import formats, shapes
from incidents.intake.alarms.heartbeat import hear
from incidents.intake.alarms.reception import receive
from incidents.models import AlarmSource
from incidents.models.intake import digest_of
from portal.api import PROBLEM, ProblemSerializer
from portal.api_auth import living_token
from portal.api_limits import Limited
from portal.models import ApiToken

logger = logging.getLogger(__name__)

MOST_BYTES = 2 * 1024 * 1024
Kind = AlarmSource.Kind


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 2 MB. Nothing of it was stored: send fewer alerts at a time."
    default_code = "too_large"


class NotStored(exceptions.APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The alarm could not be stored. Send it again."
    default_code = "not_stored"


class Unread(exceptions.ParseError):
    """What cannot be read is said to be lost, for its sender will not send it again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} Nothing of it was stored.")


class SourceToken(BaseAuthentication):
    """The token of a source (RFC 6750), for its own format. Every wrong one is refused alike."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, AlarmSource]:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        kind = request.parser_context["view"].kind
        source = _source_of(token) or _source_of_person(token, kind) if scheme.lower() == "bearer" else None
        if source is None or source.kind != kind:
            raise exceptions.AuthenticationFailed("Send the token of an alarm source of this format.")
        return AnonymousUser(), source

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _source_of(token: str) -> AlarmSource | None:
    is_served = Q(organisation__is_active=True) | Q(service__is_active=True)
    return AlarmSource.objects.filter(is_served, token_digest=digest_of(token), is_active=True).first()


def _source_of_person(token: str, kind: str) -> AlarmSource | None:
    """The source behind a person's token that is for alarms only: one for each token and format, made at first use.

    Its digest is no digest, so that no token opens it by itself. Staff see it on their desk, and may switch it off.
    """
    found = living_token(token)
    if found is None or found.scope != ApiToken.Scope.ALARMS or found.organisation is None:
        return None
    key = hashlib.sha256(f"{found.pk}:{kind}".encode()).hexdigest()[:40]
    made, _created = AlarmSource.objects.get_or_create(
        token_digest=f"person:{key}",
        defaults={
            "name": f"{found.organisation} · {found.name[:30] or found.user.get_short_name()[:30]} · {key[:8]}"[
                :120
            ],
            "kind": kind,
            "organisation": found.organisation,
            "token_hint": "",
        },
    )
    return made if made.is_active and found.organisation.is_active else None


class SourceTokenScheme(OpenApiAuthenticationExtension):
    """How the schema speaks of it."""

    target_class = "incidents.intake.alarms.door.SourceToken"
    name = "alarmSourceToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The token of an alarm source, from the staff desk or `manage.py create_alarm_source`.",
        }


class IsSource(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, AlarmSource)


class AlarmParser(JSONParser):
    """JSON of at most 2 MB, cleaned: what a sender broke in a text is no reason to lose its alarm."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TooLarge()
        try:
            return formats.parse(body)
        except formats.Malformed as error:
            raise Unread(str(error)) from error


class AlarmSchema(AutoSchema):
    """Documents the refusals of the hatch."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for code in ("400", "401", "413", "415", "429", "500", "503"):
            bodies[code] = self._get_response_for_code(ProblemSerializer, code, [PROBLEM], direction)
        return bodies


class AlarmDoor(Limited, APIView):
    """One format's hatch."""

    authentication_classes = (SourceToken,)
    permission_classes = (IsSource,)
    parser_classes = (AlarmParser,)
    schema = AlarmSchema()
    kind: ClassVar[str]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.now: datetime = timezone.now()
        super().initial(request, *args, **kwargs)
        assert isinstance(request.auth, AlarmSource)  # `IsSource` let it pass
        self.source = request.auth
        hear(self.source, self.now)

    def limited_by(self, request: Request) -> tuple[str, str]:
        assert isinstance(request.auth, AlarmSource)  # `IsSource` let it pass
        return "alarms", f"source-{request.auth.pk}"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """We answer in JSON; an alarm is not refused for what its sender would rather read."""
        return super().perform_content_negotiation(request, force=True)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Error):
            logger.exception("an alarm could not be stored", exc_info=exc)
            exc = NotStored()
        return super().handle_exception(exc)

    def take(self, request: Request) -> Response:
        payload = request.data
        try:
            alerts = formats.read(self.kind, payload)
        except formats.Malformed as error:
            raise Unread(str(error)) from error
        receive(self.source, payload, alerts, self.now)
        return Response({"accepted": len(alerts)}, status=status.HTTP_202_ACCEPTED)


ACCEPTED = {202: shapes.AcceptedSerializer}


class AlertmanagerDoor(AlarmDoor):
    """Prometheus Alertmanager's webhook, version 4."""

    kind = Kind.ALERTMANAGER

    @extend_schema(request=shapes.AlertmanagerSerializer, responses=ACCEPTED)
    def post(self, request: Request) -> Response:
        """Take the alerts of a notification."""
        return self.take(request)


class GrafanaDoor(AlarmDoor):
    """Grafana's webhook: unified alerting, and the legacy one (title, ruleId, ruleName, state, message)."""

    kind = Kind.GRAFANA

    @extend_schema(request=shapes.GrafanaSerializer, responses=ACCEPTED)
    def post(self, request: Request) -> Response:
        """Take the alerts of a notification."""
        return self.take(request)


class GenericDoor(AlarmDoor):
    """Any monitoring that can send JSON: one alert, a list of them as `alerts`, or `{"heartbeat": true}`."""

    kind = Kind.GENERIC

    @extend_schema(request=shapes.GenericSerializer, responses=ACCEPTED)
    def post(self, request: Request) -> Response:
        """Take one alert or several."""
        return self.take(request)
