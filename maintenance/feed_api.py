"""The caller's private calendar feed in the API. Its address is in one answer only."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from maintenance.actions import invitations
from maintenance.models import CalendarFeed
from portal.access import person_of
from portal.api import Door


class CalendarFeedSerializer(serializers.Serializer):
    """There is a feed since then."""

    created_at = serializers.DateTimeField()


class NewCalendarFeedSerializer(CalendarFeedSerializer):
    address = serializers.CharField(help_text="For a calendar program; shown in this answer only.")


class CalendarFeedViewSet(Door):
    """The caller's calendar feed, which a program reads without signing in."""

    serializer_class = CalendarFeedSerializer
    pagination_class = None
    is_single = True
    queryset = CalendarFeed.objects.none()

    def get_object(self) -> CalendarFeed:
        rows = CalendarFeed.objects.filter(person=person_of(self.request))
        found: CalendarFeed = get_object_or_404(rows)
        return found

    @extend_schema(responses=CalendarFeedSerializer)
    def retrieve(self, request: Request) -> Response:
        """Whether there is one: 404 where there is none."""
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses={201: NewCalendarFeedSerializer})
    def create(self, request: Request) -> Response:
        """Make its address, or a new one: the old one is dead."""
        token = invitations.rotate_feed(person_of(request), now=timezone.now().replace(microsecond=0))
        address = settings.SITE_URL + reverse("maintenance:feed", args=[token])
        made: Any = self.get_serializer(self.get_object()).data
        return Response(made | {"address": address}, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request) -> Response:
        """No more feed."""
        self.get_object()
        invitations.revoke_feed(person_of(request))
        return Response(status=204)
