"""Knowledge articles in versions, and releases planned for incidents."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Incident
from portal.models import Organisation, User
from portal.models.accounts import TypedModelMeta


class ArticleQuerySet(models.QuerySet["Article"]):
    def published(self) -> ArticleQuerySet:
        return self.filter(published_version__isnull=False)

    def visible_to(self, user: User) -> ArticleQuerySet:
        """Articles for all or for one of the user's organisations; customers read the published ones."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        organisations = Organisation.objects.visible_to(user).values("pk")
        found = self.filter(models.Q(organisation=None) | models.Q(organisation__in=organisations))
        return found if user.is_agent else found.published()


class Article(models.Model):
    """A piece of knowledge, for everybody or for one organisation. Customers read the published version."""

    slug = models.SlugField(_("short name"), max_length=120, unique=True)
    organisation = models.ForeignKey(
        Organisation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="articles",
        verbose_name=_("only for organisation"),
    )
    published_version = models.OneToOneField(
        "ArticleVersion",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published version"),
    )

    objects = ArticleQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["slug"]
        verbose_name = _("article")
        verbose_name_plural = _("articles")

    def __str__(self) -> str:
        version = self.published_version or self.versions.order_by("-number").first()
        return version.title if version else self.slug

    def get_absolute_url(self) -> str:
        return reverse("incidents:article", args=[self.slug])


class ArticleVersion(models.Model):
    """What an article said at one time, in Markdown; never changed once published."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("version"), default=1)
    title = models.CharField(_("title"), max_length=200)
    text = models.TextField(_("text"))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    written_at = models.DateTimeField(_("written at"))
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["-number"]
        verbose_name = _("article version")
        verbose_name_plural = _("article versions")
        constraints = [models.UniqueConstraint(fields=["article", "number"], name="article_version_number")]

    def __str__(self) -> str:
        return f"{self.title} v{self.number}"


class Release(models.Model):
    """A release planned for an incident: the first date stays for reports, however often it moves."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="releases")
    version = models.CharField(_("version"), max_length=60)
    planned_on = models.DateField(_("planned date"))
    first_planned_on = models.DateField(_("first planned date"))
    shipped_at = models.DateTimeField(_("shipped at"), null=True, blank=True)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        constraints = [
            models.UniqueConstraint(
                fields=["incident"],
                name="one_planned_release_each",
                condition=models.Q(shipped_at=None, withdrawn_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} ({self.planned_on})"


class DocumentedSolution(models.Model):
    """An article, at a version, given to the customer as the solution of an incident."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="solutions")
    article_version = models.ForeignKey(ArticleVersion, models.PROTECT, related_name="solutions")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(_("at"))
    cycle = models.PositiveIntegerField(_("cycle"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("documented solution")
        verbose_name_plural = _("documented solutions")

    def __str__(self) -> str:
        return f"{self.incident.reference} · {self.article_version}"
