"""Who is who: organisations (customers), their people, and the vendor's staff."""

from __future__ import annotations

import zoneinfo
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
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_agent:
            return self
        return self.filter(memberships__user=user, is_active=True)


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
        """Create a person who signs in by `email` (stored in lower case). ValueError without an address."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        fields = {"staff_role": StaffRole.ADMINISTRATOR, "is_staff": True, "is_superuser": True} | fields
        return self.create_user(email, password, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # knox names the relation at run time
    """A person, customer or staff, who signs in with an e-mail address."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=150)
    staff_role = models.CharField(_("staff role"), max_length=20, choices=StaffRole.choices, blank=True)
    is_staff = models.BooleanField(_("staff (may open the admin)"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
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

    @property
    def is_agent(self) -> bool:
        """Whether this person works for the vendor (any staff role)."""
        return bool(self.is_active and self.is_staff and (self.staff_role or self.is_superuser))

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


class Membership(models.Model):
    """A person's place in an organisation. Managers and members write, viewers read."""

    Role = Role

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("person"))
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="memberships", verbose_name=_("organisation")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
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
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organisation} ({self.get_role_display()})"


class ApiToken(AbstractAuthToken):
    """A hashed bearer token, optionally narrowed to reading or to one organisation."""

    class Scope(models.TextChoices):
        READ = "read", _("Read")
        WRITE = "write", _("Read and write")

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

    class Meta(TypedModelMeta):
        swappable = "KNOX_TOKEN_MODEL"
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
