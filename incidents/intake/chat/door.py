"""The hatches of the dedicated channels: `POST /api/v1/channels/{slack,mattermost}/KEY/`, as the services call.

The key names the channel, the signature proves the service; neither a session nor a person's token opens it.
An unknown key, a channel that is switched off or not part of the plan any more, one without a signing secret
and a wrong signature are refused alike, after the same work, and nothing is kept. 200 says that a message is
safe: a service sends again what got a 5xx.

The routes are no part of the OpenAPI schema: what they take is documented by Slack and by Mattermost, who
alone call them, and what they answer is not for anybody else.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import Error, transaction
from django.http import UnreadablePostError
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from incidents.intake import inbox
from incidents.intake.alarms import formats
from incidents.intake.alarms.reception import in_turn, wake_reader
from incidents.intake.chat import mattermost, slack
from incidents.intake.chat.reception import receive
from incidents.intake.chat.spoken import Spoken
from incidents.models import InboundMessage, Message
from portal.api_limits import Limited
from portal.models import Endpoint

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
NOBODYS = "no-channel-has-this"  # what an unknown key is compared with, for the same work
State = InboundMessage.State


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 256 KB. Nothing of it was stored."
    default_code = "too_large"


class NotStored(exceptions.APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The message could not be stored. Send it again."
    default_code = "not_stored"


def channel_by(key: uuid.UUID, service: str) -> Endpoint | None:
    """The channel that may be written in: of this service, switched on, and part of its organisation's plan."""
    served = Endpoint.objects.filter(
        use=Endpoint.Use.CHANNEL,
        service=service,
        is_active=True,
        removed_at=None,
        organisation__is_active=True,
        organisation__support_plan__has_dedicated_channel=True,
    )
    return served.select_related("organisation").filter(key=key).first()


class ServiceSignature(BaseAuthentication):
    """The service's own proof that it sent the body. Whatever is wrong is refused in the same words."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Endpoint]:
        view: ChatDoor = request.parser_context["view"]
        view.body = _body(request)
        endpoint = channel_by(request.parser_context["kwargs"]["key"], view.service)
        is_signed = view.is_signed(request, endpoint.signing_secret if endpoint else NOBODYS)
        if endpoint is None or not is_signed:
            raise exceptions.AuthenticationFailed("Send it to a channel's address, signed by its service.")
        return AnonymousUser(), endpoint

    def authenticate_header(self, request: Request) -> str:
        return "Signature"


def _body(request: Request) -> bytes:
    """The bytes as they came, which is what a service signs; read once, and never more than is taken."""
    try:
        body: bytes = request._request.read(MOST_BYTES + 1)
    except UnreadablePostError as error:
        raise exceptions.ParseError("The body did not arrive. Nothing of it was stored.") from error
    if len(body) > MOST_BYTES:
        raise TooLarge()
    return body


class IsChannel(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Endpoint)


class ChatDoor(Limited, APIView):
    """One service's hatch."""

    authentication_classes = (ServiceSignature,)
    permission_classes = (IsChannel,)
    service: ClassVar[str]
    body: bytes

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.now: datetime = timezone.now()
        super().initial(request, *args, **kwargs)
        assert isinstance(request.auth, Endpoint)  # `IsChannel` let it pass
        self.endpoint = request.auth

    def is_signed(self, request: Request, secret: str) -> bool:
        raise NotImplementedError

    def limited_by(self, request: Request) -> tuple[str, str]:
        assert isinstance(request.auth, Endpoint)  # `IsChannel` let it pass
        return "channels", f"endpoint-{request.auth.pk}"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """We answer in JSON, whatever the service would rather read."""
        return super().perform_content_negotiation(request, force=True)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Error):
            logger.exception("a message of a channel could not be stored", exc_info=exc)
            exc = NotStored()
        return super().handle_exception(exc)

    def is_in_room(self, spoken: Spoken) -> bool:
        return spoken.room == self.endpoint.room_id


class SlackDoor(ChatDoor):
    """Slack's Events API. Only the room of the channel is read: Slack sends what is said in any room of its app."""

    service = Endpoint.Service.SLACK

    def is_signed(self, request: Request, secret: str) -> bool:
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        return slack.is_signed(secret, timestamp, signature, self.body, self.now.timestamp())

    @extend_schema(exclude=True)
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Take one event; it is read by a worker, for Slack waits three seconds only."""
        try:
            envelope = formats.parse(self.body)
        except formats.Malformed as error:
            raise exceptions.ParseError(f"{error} Nothing of it was stored.") from error
        envelope = envelope if isinstance(envelope, dict) else {}
        if challenge := slack.challenge_of(envelope):
            return Response({"challenge": challenge})
        spoken = slack.spoken(envelope)
        if spoken and self.is_in_room(spoken):
            message = receive(self.endpoint, spoken, self.now)
            if message.state == State.RECEIVED:
                transaction.on_commit(wake_reader, robust=True)
        return Response({})


class MattermostDoor(ChatDoor):
    """Mattermost's outgoing webhooks, which get no answer to post, and slash commands, which get one that only
    their writer sees."""

    service = Endpoint.Service.MATTERMOST

    def is_signed(self, request: Request, secret: str) -> bool:
        self.fields = mattermost.read(self.body, request.content_type or "")
        return mattermost.is_signed(secret, self.fields)

    def is_in_room(self, spoken: Spoken) -> bool:
        """Where no room is named, the token alone says which it is: a webhook belongs to one room."""
        return not self.endpoint.room_id or super().is_in_room(spoken)

    @extend_schema(exclude=True)
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Take one message or command."""
        spoken = mattermost.spoken(self.fields)
        if spoken is None:
            return Response({})
        message = receive(self.endpoint, spoken, self.now) if self.is_in_room(spoken) else None
        if not spoken.is_command:
            if message is not None and message.state == State.RECEIVED:
                transaction.on_commit(wake_reader, robust=True)
            return Response({})
        organisation = self.endpoint.organisation
        with translation.override(organisation.language if organisation else settings.LANGUAGE_CODE):
            return Response({"response_type": "ephemeral", "text": self.answer(message)})

    def answer(self, message: InboundMessage | None) -> str:
        """What a command's writer reads about what became of it."""
        if message is None:
            return _("This command works only in the channel that your organisation has with support.")
        self.read_now(message)
        reply = Message.objects.filter(inbound=message, is_public=True).select_related("author").first()
        if reply is not None:
            facts = {"reference": reply.incident.reference, "name": reply.author}
            return _("Added to %(reference)s as %(name)s.") % facts
        if message.outcome == InboundMessage.Outcome.IGNORED:
            return _("Begin with the reference of one of your incidents, such as INC-1042: your words.")
        if message.state == State.HELD:
            return _("Held for support: %(reason)s") % {"reason": _(message.state_reason)}
        return _("It has arrived; support sees to it.")

    def read_now(self, message: InboundMessage) -> None:
        """Read it while its writer waits; what goes wrong is left to the next sweep, for the row is safe."""
        try:
            with in_turn():
                inbox.process(message.pk, self.now)
            message.refresh_from_db()
        except Exception:
            logger.exception("inbound message %s is left to the next sweep", message.pk)
