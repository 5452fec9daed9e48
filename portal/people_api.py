"""The API's door to the people of an organisation: the same verbs, rules and refusals as the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal import invitation_verbs, people_verbs
from portal.access import person_of
from portal.announcement_api import refusal as as_problem
from portal.api import Door, Words, narrowed
from portal.models import Invitation, Membership, Organisation, Team, User, Visibility
from portal.models.accounts import Role
from portal.people_rules import refusal
from portal.people_views import shown_to
from portal.verbs import Refused

TEAM_HELP = "The id of a team of the organisation; null for none."


# --- shapes ---


class MemberSerializer(serializers.ModelSerializer):
    """Somebody of the organisation; without what only managers read: address, sign-in and second factor."""

    name = serializers.CharField(source="user.name")
    is_you = serializers.SerializerMethodField()

    class Meta:
        model = Membership
        fields = ["id", "name", "role", "is_you"]
        read_only_fields = fields

    def get_is_you(self, row: Membership) -> bool:
        return row.user_id == self.context["request"].user.pk


class ManagedMemberSerializer(MemberSerializer):
    """Somebody of the organisation, as its managers see them; the last seven are left out for others."""

    email = serializers.EmailField(source="user.email")
    last_signed_in_at = serializers.DateTimeField(source="user.last_login", allow_null=True)
    has_second_factor = serializers.BooleanField()

    class Meta(MemberSerializer.Meta):
        fields = [
            *MemberSerializer.Meta.fields,
            *["email", "visibility", "team", "is_p1_contact", "is_escalation_contact"],
            *["last_signed_in_at", "has_second_factor"],
        ]
        read_only_fields = fields


class ListedMemberSerializer(ManagedMemberSerializer):
    """Somebody of the organisation; address, sign-in and what else is not required are for its managers only."""

    email = serializers.EmailField(source="user.email", required=False)
    last_signed_in_at = serializers.DateTimeField(source="user.last_login", allow_null=True, required=False)
    has_second_factor = serializers.BooleanField(required=False)

    class Meta(ManagedMemberSerializer.Meta):
        read_only_fields = MemberSerializer.Meta.fields


class PlaceSerializer(serializers.Serializer):
    role = serializers.ChoiceField(Role.choices, required=False)
    visibility = serializers.ChoiceField(Visibility.choices, required=False)
    team = serializers.PrimaryKeyRelatedField(
        queryset=Team.objects.none(), required=False, allow_null=True, help_text=TEAM_HELP
    )

    def __init__(self, *args: Any, organisation: Organisation | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if organisation is not None:
            teams: Any = self.fields["team"]
            teams.queryset = organisation.teams.all()


class MemberChangeSerializer(PlaceSerializer):
    is_p1_contact = serializers.BooleanField(required=False)
    is_escalation_contact = serializers.BooleanField(required=False)
    reason = Words(required=False, max_length=100, help_text="Staff only: why there is no manager left.")


class RemovalSerializer(serializers.Serializer):
    """Who takes over what they leave open."""

    transfer_to = serializers.EmailField(
        required=False, help_text="Needed where incidents of theirs are open."
    )
    reason = Words(required=False, max_length=100, help_text="Staff only: why there is no manager left.")


class InvitationSerializer(serializers.ModelSerializer):
    is_expired = serializers.SerializerMethodField()

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "visibility", "team", "created_at", "expires_at", "is_expired"]
        read_only_fields = fields

    def get_is_expired(self, row: Invitation) -> bool:
        return row.expires_at <= timezone.now()


class InviteSerializer(PlaceSerializer):
    email = serializers.EmailField()


class TeamSerializer(serializers.ModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "name"]
        read_only_fields = ["id"]


class TeamNameSerializer(serializers.Serializer):
    name = Words(max_length=120)


# --- doors ---

SLUG = OpenApiParameter("slug", str, OpenApiParameter.PATH)
ID = OpenApiParameter("id", OpenApiTypes.INT, OpenApiParameter.PATH)


class OrganisationDoor(Door):
    """Something of one organisation: 404 for strangers, 403 for whoever does not look after its people."""

    called: ClassVar[dict[str, str]] = {}  # of fields of verbs, what they are called here

    def organisation(self) -> Organisation:
        visible = narrowed(Organisation.objects.visible_to(person_of(self.request)), self.request, "pk")
        found: Organisation = get_object_or_404(visible.filter(is_vendor=False), slug=self.kwargs["slug"])
        return found

    def managed(self) -> Organisation:
        found = self.organisation()
        reason = refusal(found, person_of(self.request))
        if reason:
            raise PermissionDenied(reason)
        return found

    def given(self, shape: type[serializers.Serializer], **context: Any) -> dict[str, Any]:
        filled = shape(data=self.request.data, **context)
        filled.is_valid(raise_exception=True)
        return dict(filled.validated_data)

    def use(self, verb: Callable[..., Any], *of: Any, **given: Any) -> Any:
        about = {"by": person_of(self.request), "now": timezone.now(), "request": self.request._request}
        try:
            return verb(*of, **given, **about)
        except Refused as refused:
            refused.field = self.called.get(refused.field, refused.field)
            raise as_problem(refused) from refused

    def paged(self, rows: QuerySet, shape: type[serializers.BaseSerializer]) -> Response:
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(shape(page, many=True, context={"request": self.request}).data)


class PeopleDoor(OrganisationDoor):
    """The people of an organisation: all of its managers' columns for managers, names and roles for others."""

    called: ClassVar = {"to": "transfer_to"}
    queryset = Membership.objects.none()
    serializer_class = ManagedMemberSerializer

    def rows(self, organisation: Organisation) -> QuerySet[Membership]:
        has_factor = Authenticator.objects.filter(user=OuterRef("user"))
        found = shown_to(person_of(self.request), organisation)
        return found.annotate(has_second_factor=Exists(has_factor))

    def shape(self, organisation: Organisation) -> type[MemberSerializer]:
        is_for_managers = not refusal(organisation, person_of(self.request))
        return ManagedMemberSerializer if is_for_managers else MemberSerializer

    def one(self) -> Membership:
        organisation = self.managed()
        found: Membership = get_object_or_404(self.rows(organisation), pk=self.kwargs["id"])
        return found

    @extend_schema(parameters=[SLUG], responses=ListedMemberSerializer(many=True))
    def list(self, request: Request, slug: str) -> Response:
        organisation = self.organisation()
        return self.paged(self.rows(organisation), self.shape(organisation))

    @extend_schema(parameters=[SLUG, ID], responses=ManagedMemberSerializer)
    def retrieve(self, request: Request, slug: str, id: int) -> Response:
        return Response(ManagedMemberSerializer(self.one(), context={"request": request}).data)

    @extend_schema(parameters=[SLUG, ID], request=MemberChangeSerializer, responses=ManagedMemberSerializer)
    def partial_update(self, request: Request, slug: str, id: int) -> Response:
        """Change role, what they see, team and contacts (managers)."""
        found = self.one()
        given = self.given(MemberChangeSerializer, organisation=found.organisation, partial=True)
        self.use(people_verbs.change_membership, found, **given)
        return self.retrieve(request, slug, id)

    @extend_schema(parameters=[SLUG, ID], request=RemovalSerializer, responses={204: None})
    def destroy(self, request: Request, slug: str, id: int) -> Response:
        """They leave the organisation; `transfer_to` takes over their open incidents (managers)."""
        found = self.one()
        given = self.given(RemovalSerializer)
        to = self.colleague(found.organisation, given.pop("transfer_to", None))
        self.use(people_verbs.remove_from_organisation, found, to=to, channel="api", **given)
        return Response(status=204)

    def colleague(self, organisation: Organisation, email: str | None) -> User | None:
        if not email:
            return None
        rows = Membership.objects.filter(organisation=organisation, user__email=email.lower())
        found = rows.select_related("user").first()
        if found is None:
            raise exceptions.ValidationError({"transfer_to": [_("No such person in this organisation.")]})
        return found.user


class InvitationsDoor(OrganisationDoor):
    """Invitations that were neither used nor withdrawn (managers)."""

    queryset = Invitation.objects.none()
    serializer_class = InvitationSerializer

    def rows(self) -> QuerySet[Invitation]:
        rows = Invitation.objects.filter(organisation=self.managed(), accepted_at=None, withdrawn_at=None)
        return rows.select_related("organisation").order_by("-pk")

    def one(self) -> Invitation:
        found: Invitation = get_object_or_404(self.rows(), pk=self.kwargs["id"])
        return found

    @extend_schema(parameters=[SLUG])
    def list(self, request: Request, slug: str) -> Response:
        return self.paged(self.rows(), InvitationSerializer)

    @extend_schema(parameters=[SLUG], request=InviteSerializer, responses={201: InvitationSerializer})
    def create(self, request: Request, slug: str) -> Response:
        """Invite somebody at one address. The answer is the same whether or not they have an account."""
        organisation = self.managed()
        given = self.given(InviteSerializer, organisation=organisation)
        made = self.use(invitation_verbs.invite, organisation, **given)
        return Response(InvitationSerializer(made).data, status=201)

    @extend_schema(parameters=[SLUG, ID], responses=InvitationSerializer)
    def retrieve(self, request: Request, slug: str, id: int) -> Response:
        return Response(InvitationSerializer(self.one()).data)

    @extend_schema(parameters=[SLUG, ID], request=None, responses={201: InvitationSerializer})
    def renewal(self, request: Request, slug: str, id: int) -> Response:
        """Another mail with a new link; the old one is dead."""
        return Response(InvitationSerializer(self.use(invitation_verbs.renew, self.one())).data, status=201)

    @extend_schema(parameters=[SLUG, ID], request=None, responses={204: None})
    def destroy(self, request: Request, slug: str, id: int) -> Response:
        """Withdraw it: its link is dead."""
        self.use(invitation_verbs.withdraw, self.one())
        return Response(status=204)


class TeamsDoor(OrganisationDoor):
    """The teams of an organisation; managers make, rename and remove them."""

    queryset = Team.objects.none()
    serializer_class = TeamSerializer

    def one(self) -> Team:
        rows = self.managed().teams.select_related("organisation")
        found: Team = get_object_or_404(rows, pk=self.kwargs["id"])
        return found

    @extend_schema(parameters=[SLUG])
    def list(self, request: Request, slug: str) -> Response:
        return self.paged(self.organisation().teams.order_by("name", "pk"), TeamSerializer)

    @extend_schema(parameters=[SLUG], request=TeamNameSerializer, responses={201: TeamSerializer})
    def create(self, request: Request, slug: str) -> Response:
        organisation = self.managed()
        made = self.use(people_verbs.make_team, organisation, **self.given(TeamNameSerializer))
        return Response(TeamSerializer(made).data, status=201)

    @extend_schema(parameters=[SLUG, ID], request=TeamNameSerializer, responses=TeamSerializer)
    def partial_update(self, request: Request, slug: str, id: int) -> Response:
        found = self.one()
        changed = self.use(people_verbs.rename_team, found, **self.given(TeamNameSerializer))
        return Response(TeamSerializer(changed).data)

    @extend_schema(parameters=[SLUG, ID], request=None, responses={204: None})
    def destroy(self, request: Request, slug: str, id: int) -> Response:
        """Its incidents are of no team then; refused while people are in it."""
        self.use(people_verbs.remove_team, self.one())
        return Response(status=204)


BASE = "organisations/<str:slug>"
ONE: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}
urls = [
    path(f"{BASE}/people/", PeopleDoor.as_view({"get": "list"}), name="api-people"),
    path(
        f"{BASE}/people/<int:id>/",
        PeopleDoor.as_view(ONE | {"patch": "partial_update"}),
        name="api-person",
    ),
    path(
        f"{BASE}/invitations/",
        InvitationsDoor.as_view({"get": "list", "post": "create"}),
        name="api-invitations",
    ),
    path(f"{BASE}/invitations/<int:id>/", InvitationsDoor.as_view(ONE), name="api-invitation"),
    path(
        f"{BASE}/invitations/<int:id>/renewal/",
        InvitationsDoor.as_view({"post": "renewal"}),
        name="api-invitation-renewal",
    ),
    path(f"{BASE}/teams/", TeamsDoor.as_view({"get": "list", "post": "create"}), name="api-teams"),
    path(
        f"{BASE}/teams/<int:id>/",
        TeamsDoor.as_view({"patch": "partial_update", "delete": "destroy"}),
        name="api-team",
    ),
]
