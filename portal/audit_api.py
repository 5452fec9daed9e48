"""The API's door to the audit: managers read their organisations' part, heads of support all of it."""

from __future__ import annotations

from typing import Any

import django_filters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter

from portal.access import person_of
from portal.api import Door, narrowed
from portal.api_filters import MomentFilter, TextFilter
from portal.audit_desk import READERS
from portal.audit_rows import with_people
from portal.audit_words import GROUPS, KINDS, kinds_of_group, public_facts, public_kinds
from portal.models import AuditEntry, Organisation


class AuditFilters(django_filters.FilterSet):
    """Whole words only; times with their zone."""

    organisation = TextFilter(field_name="organisation__slug")
    kind = django_filters.ChoiceFilter(choices=[(name, name) for name in KINDS])
    group = django_filters.ChoiceFilter(choices=[(name, name) for name in GROUPS], method="by_group")
    person = TextFilter(field_name="by__email")
    subject = TextFilter()
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields: tuple[str, ...] = ()

    def by_group(self, entries: QuerySet, name: str, value: str) -> QuerySet:
        return entries.filter(kind__in=kinds_of_group(value))


class AuditEntrySerializer(serializers.ModelSerializer):
    """One act: who did what to what, and where from as long as that is kept."""

    group = serializers.SerializerMethodField()
    by = serializers.CharField(
        source="by.email",
        default=None,
        allow_null=True,
        help_text="Null: the portal, or nobody who is known.",
    )
    seen_as = serializers.CharField(
        source="on_behalf_of.email",
        default=None,
        allow_null=True,
        help_text="Whose portal a member of the staff looked at.",
    )
    organisation = serializers.CharField(source="organisation.slug", default=None, allow_null=True)
    facts = serializers.SerializerMethodField()
    address = serializers.SerializerMethodField()

    class Meta:
        model = AuditEntry
        fields = ("id", "at", "kind", "group", "by", "seen_as", "organisation", "subject", "facts", "address")

    def get_group(self, entry: AuditEntry) -> str:
        return KINDS[entry.kind].group if entry.kind in KINDS else ""

    @extend_schema_field(serializers.DictField())
    def get_facts(self, entry: AuditEntry) -> dict[str, Any]:
        return entry.facts if self._is_staff() else public_facts(entry.kind, entry.facts)

    @extend_schema_field(serializers.IPAddressField(allow_null=True))
    def get_address(self, entry: AuditEntry) -> str | None:
        origin = getattr(entry, "origin", None)
        is_theirs = entry.by is None or not entry.by.is_staff
        return origin.address if origin and (is_theirs or self._is_staff()) else None

    def _is_staff(self) -> bool:
        return person_of(self.context["request"]).is_agent


class AuditEntryViewSet(mixins.ListModelMixin, Door):
    """The audit, newest first. For the managers of an organisation its own part; for heads of support all."""

    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilters
    queryset = AuditEntry.objects.none()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        user = person_of(request)
        may = user.has_staff_role(READERS) or Organisation.objects.managed_by(user).exists()
        if not may:
            raise PermissionDenied

    def get_queryset(self) -> QuerySet[AuditEntry]:
        if getattr(self, "swagger_fake_view", False):
            return AuditEntry.objects.none()
        user = person_of(self.request)
        found = AuditEntry.objects.visible_to(user).order_by("-pk")
        if not user.is_agent:
            found = found.filter(kind__in=public_kinds())
        return narrowed(with_people(found), self.request)


router = SimpleRouter()
router.register("audit-entries", AuditEntryViewSet, basename="api-audit-entry")
