"""Tokens at the API's door: whose they are, whether they still live, and what they leave of a queryset."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import Error, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from portal.models import ApiToken, Organisation, User

if TYPE_CHECKING:  # the framework loads this module while it loads its views
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=1)


class PersonToken(TokenAuthentication):
    """A person's token (RFC 6750). It opens nothing once it expired or its person left what it was made for."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        found = living_token(token.decode("latin-1"))
        if found is None:
            raise exceptions.AuthenticationFailed(_("The token is wrong, expired or revoked."))
        return found.user, found


def living_token(text: str) -> ApiToken | None:
    """The token by its secret, if it lives; notes that it was used, at most once a minute."""
    now = timezone.now()
    rows = ApiToken.objects.select_related("user", "organisation", "service")
    found = rows.filter(digest=_digest(text)).first()
    if found is None or not is_alive(found):
        return None
    if found.last_used_at is None or now - found.last_used_at >= NOTED_EVERY:
        _note_use(found)
    return found


def _digest(text: str) -> str:
    try:
        return str(hash_token(text))
    except (TypeError, ValueError):
        return ""


def is_alive(token: ApiToken) -> bool:
    """Whether it opens anything: not expired, its person active and still of what it is bound to."""
    if token.expiry is not None and token.expiry <= timezone.now():
        return False
    if not token.user.is_active or token.user.erased_at is not None:
        return False
    if token.service is not None and not token.service.is_active:
        return False
    return token.organisation_id is None or _bound_to(token).exists()


def _bound_to(token: ApiToken) -> QuerySet[Organisation]:
    return Organisation.objects.visible_to(token.user).filter(pk=token.organisation_id)


def _note_use(token: ApiToken) -> None:
    """Best effort: a request is not refused because somebody else writes the same row."""
    now = timezone.now().replace(microsecond=0)
    try:
        with transaction.atomic():
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    except Error:
        logger.warning("the use of a token could not be noted")


class TokenScope(BasePermission):
    """A read token only reads; one for alarms opens the hatch for alarms only; one of a service what is the service's."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        self.message = self._reason(token, request, view)
        return not self.message

    def _reason(self, token: ApiToken, request: Request, view: APIView) -> Any:
        if token.scope == ApiToken.Scope.ALARMS:
            return gettext_lazy("This token only reports alarms.")
        if token.scope == ApiToken.Scope.READ and request.method not in SAFE_METHODS:
            return gettext_lazy("This token only reads. Use one for reading and writing.")
        if token.service_id is not None and getattr(view, "service_path", None) is None:
            return gettext_lazy("This token is for one service. Use one without this limit.")
        return ""


def narrowed(
    queryset: QuerySet, request: Request, organisation: str = "organisation", service: str = ""
) -> QuerySet:
    """What a token that is bound to one organisation, or one service, leaves of a queryset.

    Nothing once its person left the organisation. `service` is the path to the services of a row; without
    one the rows are not a service's, and the view must have said in `service_path` that this is meant.
    """
    token = request.auth
    if not isinstance(token, ApiToken):
        return queryset
    if token.organisation_id:
        queryset = queryset.filter(**{f"{organisation}__in": _bound_to(token).values("pk")})
    if token.service_id and service:
        own = queryset.model._default_manager.filter(**{service: token.service_id})
        queryset = queryset.filter(pk__in=own.order_by().values("pk"))
    return queryset


def only_service(request: Request, given: Iterable[Any] | None) -> list[Any] | None:
    """The services that a new object is for: of a token that is bound to one, that one. ValidationError for others."""
    token = request.auth
    services = list(given) if given is not None else None
    if not isinstance(token, ApiToken) or token.service is None:
        return services
    if services and any(service.pk != token.service_id for service in services):
        raise exceptions.ValidationError({"services": [_("This token is for another service.")]})
    return [token.service]
