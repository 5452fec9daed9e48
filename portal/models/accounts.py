"""Who is who: organisations (customers), their people, and the vendor's staff."""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.models import AbstractAuthToken
from simple_history.models import HistoricalRecords

from portal.login_address import validate_login_address

if TYPE_CHECKING:
    from django_stubs_ext.db.models import TypedModelMeta
else:
    TypedModelMeta = object


@cache
def time_zones() -> frozenset[str]:
    """The names of all zones; read from the disk once."""
    return frozenset(zoneinfo.available_timezones())


def validate_time_zone(value: str) -> None:
    """Raise ValidationError unless `value` is an IANA zone name such as Europe/Istanbul."""
    if value not in time_zones():
        raise ValidationError(
            _("“%(value)s” is not a time zone. Use a name such as Europe/Istanbul."), params={"value": value}
        )


def default_time_zone() -> str:
    return settings.TIME_ZONE


def default_language() -> str:
    return settings.LANGUAGE_CODE


class OrganisationQuerySet(models.QuerySet["Organisation"]):
    def visible_to(self, user: User) -> OrganisationQuerySet:
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_agent:
            own = self.filter(pk__in=user.staff_limits.values("organisation"), is_vendor=False)
            return own if user.is_limited else self
        return self.filter(memberships__user=user, is_active=True)

    def seen_whole_by(self, user: User) -> OrganisationQuerySet:
        """Those of which `user` may see every incident: what sums up an organisation is for them only."""
        if user.is_authenticated and user.is_agent:
            return self.visible_to(user)
        whole = Membership.objects.filter(visibility=Visibility.ALL)
        return self._joined(user, whole)

    def managed_by(self, user: User) -> OrganisationQuerySet:
        """Those that `user` manages; staff manage none."""
        return self._joined(user, Membership.objects.filter(role=Role.MANAGER))

    def _joined(self, user: User, memberships: models.QuerySet[Membership]) -> OrganisationQuerySet:
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        return self.filter(is_active=True, pk__in=memberships.filter(user=user).values("organisation"))


class Organisation(models.Model):
    """A customer: people, subscribed services and one support plan."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    slug = models.SlugField(_("short name"), max_length=80, unique=True)
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default=default_language
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, default=default_time_zone, validators=[validate_time_zone]
    )
    is_active = models.BooleanField(_("active"), default=True)
    requires_second_factor = models.BooleanField(
        _("a second factor is required"),
        default=False,
        help_text=_("Its people set one up at their next sign-in, and do nothing else before."),
    )
    is_vendor = models.BooleanField(
        _("the vendor itself"),
        default=False,
        editable=False,
        help_text=_("Holds what concerns many customers at once; nobody of a customer sees it."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    objects = OrganisationQuerySet.as_manager()

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        constraints = [
            models.UniqueConstraint(
                fields=["is_vendor"], name="one_vendor", condition=models.Q(is_vendor=True)
            )
        ]

    def __str__(self) -> str:
        return self.name


class StaffRole(models.TextChoices):
    """The vendor's people. Each role may do what the ones before it may."""

    AGENT = "agent", _("Agent")
    DUTY_MANAGER = "duty_manager", _("Duty manager")
    HEAD_OF_SUPPORT = "head_of_support", _("Head of support")
    ADMINISTRATOR = "administrator", _("Administrator")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """Create a person who signs in by `email` (stored in lower case).

        ValueError without an address, ValidationError for one that this portal receives mail at.
        """
        if not email:
            raise ValueError("A user needs an e-mail address.")
        validate_login_address(email)
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        fields = {"staff_role": StaffRole.ADMINISTRATOR, "is_staff": True, "is_superuser": True} | fields
        return self.create_user(email, password, **fields)

    def visible_to(self, user: User) -> models.QuerySet[User]:
        """Staff see everybody; if they are limited, the staff and the people whom they look after. Customers
        see people by their organisation's pages."""
        if not user.is_authenticated or not user.is_agent:
            return self.none()
        if not user.is_limited:
            return self.all()
        members = Membership.objects.filter(organisation__in=Organisation.objects.visible_to(user))
        return self.filter(models.Q(is_staff=True) | models.Q(pk__in=members.values("user")))

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # knox names the relation at run time
    """A person, customer or staff, who signs in with an e-mail address."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=150)
    staff_role = models.CharField(_("staff role"), max_length=20, choices=StaffRole.choices, blank=True)
    is_staff = models.BooleanField(_("staff (may open the admin)"), default=False)
    is_limited = models.BooleanField(
        _("limited to some organisations"),
        default=False,
        help_text=_("Staff who look after some customers only, and see nothing of the others."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    erased_at = models.DateTimeField(_("erased at"), null=True, blank=True, editable=False)
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=settings.LANGUAGES,
        blank=True,
        help_text=_("Empty: the language of the organisation."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Empty: the time zone of the organisation."),
    )
    has_daily_summary = models.BooleanField(_("daily summary of open incidents"), default=False)
    daily_summary_hour = models.PositiveSmallIntegerField(
        _("hour of the daily summary"), default=8, help_text=_("0 to 23, in your time zone.")
    )
    hears_all_incidents = models.BooleanField(
        _("mail about every incident of my organisation"),
        default=False,
        help_text=_("Otherwise about those that you reported or wrote in; P1 contacts hear of every P1."),
    )
    hears_maintenance = models.BooleanField(_("mail and invitations about maintenance"), default=True)
    hears_announcements = models.BooleanField(_("mail about announcements"), default=True)
    date_joined = models.DateTimeField(_("joined at"), default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects = UserManager()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.name or self.email

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Every form that writes the address refuses one of ours."""
        super().clean_fields(exclude)
        if "email" not in (exclude or ()):
            try:
                validate_login_address(self.email)
            except ValidationError as error:
                raise ValidationError({"email": error.messages}) from error

    @property
    def is_agent(self) -> bool:
        """Whether this person works for the vendor (any staff role)."""
        return bool(self.is_active and self.is_staff and (self.staff_role or self.is_superuser))

    @property
    def is_unlimited(self) -> bool:
        """Whether this person works for the vendor, and looks after every organisation."""
        return self.is_agent and not self.is_limited

    def has_staff_role(self, role: str) -> bool:
        """Whether this person's staff role is `role` or a higher one."""
        if not self.is_agent:
            return False
        if self.is_superuser:
            return True
        return StaffRole.values.index(self.staff_role) >= StaffRole.values.index(role)

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email


class Role(models.TextChoices):
    MANAGER = "manager", _("Manager")
    MEMBER = "member", _("Member")
    VIEWER = "viewer", _("Viewer")


class Visibility(models.TextChoices):
    ALL = "all", _("All incidents")
    TEAM = "team", _("Incidents of the team")
    OWN = "own", _("Own incidents")


class Team(models.Model):
    """A part of an organisation, whose people see each other's incidents."""

    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="teams", verbose_name=_("organisation")
    )
    name = models.CharField(_("name"), max_length=120)

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="team_name")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in an organisation. Managers and members write, viewers read.

    Managers see every incident. Others see all, those of their team, or their own and what they watch.
    """

    Role = Role
    Visibility = Visibility

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("person"))
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="memberships", verbose_name=_("organisation")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    visibility = models.CharField(
        _("sees"), max_length=10, choices=Visibility.choices, default=Visibility.ALL
    )
    team = models.ForeignKey(
        Team, models.SET_NULL, null=True, blank=True, related_name="memberships", verbose_name=_("team")
    )
    is_p1_contact = models.BooleanField(_("P1 contact"), default=False)
    is_escalation_contact = models.BooleanField(
        _("escalation contact"),
        default=False,
        help_text=_("Hears when a promise to the organisation is broken."),
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["organisation__name", "user__name"]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "organisation"], name="one_membership_each"),
            models.CheckConstraint(
                condition=~models.Q(role="manager") | models.Q(visibility="all"),
                name="managers_see_all",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organisation} ({self.get_role_display()})"

    def clean(self) -> None:
        """Refuse what cannot hold together: a manager who sees a part, a team of another organisation."""
        if self.role == Role.MANAGER and self.visibility != Visibility.ALL:
            raise ValidationError({"visibility": _("Managers see all incidents.")})
        if self.visibility == Visibility.TEAM and self.team is None:
            raise ValidationError({"team": _("Choose the team whose incidents this person sees.")})
        if self.team is not None and self.team.organisation_id != self.organisation_id:
            raise ValidationError({"team": _("Choose a team of this organisation.")})


class StaffLimit(models.Model):
    """An organisation that a limited member of the staff looks after."""

    user = models.ForeignKey(User, models.CASCADE, related_name="staff_limits", verbose_name=_("person"))
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="+", verbose_name=_("organisation")
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["organisation__name"]
        verbose_name = _("organisation looked after")
        verbose_name_plural = _("organisations looked after")
        constraints = [models.UniqueConstraint(fields=["user", "organisation"], name="one_limit_each")]

    def __str__(self) -> str:
        return f"{self.user} · {self.organisation}"


class ApiToken(AbstractAuthToken):
    """A hashed bearer token: for reading, writing or alarms only, maybe for one organisation or one service."""

    class Scope(models.TextChoices):
        READ = "read", _("Read")
        WRITE = "write", _("Read and write")
        ALARMS = "alarms", _("Report alarms only")

    name = models.CharField(_("name"), max_length=100, blank=True)
    scope = models.CharField(_("scope"), max_length=10, choices=Scope.choices, default=Scope.WRITE)
    organisation = models.ForeignKey(
        Organisation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("only for organisation"),
    )
    service = models.ForeignKey(
        "portal.Service",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("only for service"),
    )
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        swappable = "KNOX_TOKEN_MODEL"
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
