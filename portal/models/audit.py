"""Who did what: append-only entries, sealed in batches whose digests are chained.

An entry holds ids and facts. Where somebody came from (address, browser) is a row of its own, which erasure
and retention can reach; the entry keeps a salted digest of it, so that nobody can change it unseen.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import Organisation, TypedModelMeta, User


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def visible_to(self, user: User) -> AuditQuerySet:
        """What concerns the organisations that staff look after, or that a person manages; strangers nothing.

        Entries of no organisation (staff, settings) are for staff who are not limited to some.
        """
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        if user.is_agent:
            return self.filter(organisation__in=Organisation.objects.visible_to(user).values("pk"))
        return self.filter(organisation__in=Organisation.objects.managed_by(user).values("pk"))


class AuditEntry(models.Model):
    """One act. `kind` is declared in `portal/audit_words.py`; `subject` names what it was done to: “incident/1042”."""

    kind = models.CharField(_("what"), max_length=60)
    at = models.DateTimeField(_("at"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by")
    )
    on_behalf_of = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("seen as"),
        help_text=_("Whose portal the person at work looked at."),
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, null=True, related_name="+", verbose_name=_("organisation")
    )
    subject = models.CharField(_("about"), max_length=120, blank=True)
    facts = models.JSONField(_("facts"), default=dict)
    origin_digest = models.CharField(max_length=64, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["organisation", "-id"], name="audit_by_organisation"),
            models.Index(fields=["by", "-id"], name="audit_by_person"),
            models.Index(fields=["kind", "-id"], name="audit_by_kind"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.at:%Y-%m-%d %H:%M:%S}"


class AuditOrigin(models.Model):
    """Where an act came from. Personal: gone after its retention, or when its person is erased."""

    entry = models.OneToOneField(AuditEntry, models.CASCADE, related_name="origin", primary_key=True)
    salt = models.CharField(max_length=32)
    address = models.GenericIPAddressField(_("address"), null=True)
    browser = models.CharField(_("browser"), max_length=300, blank=True)

    class Meta(TypedModelMeta):
        verbose_name = _("origin of an act")
        verbose_name_plural = _("origins of acts")

    def __str__(self) -> str:
        return self.address or "—"


class AuditSeal(models.Model):
    """One batch of a sealed table: its rows (first_id to last_id), their digest, and the seal before it.

    `row_digests` holds 40 bytes a row: its id (8, big-endian) and the SHA-256 of its canonical form (32). By
    them a difference has a place, and a batch stays whole when the purge door lets some of its rows out.
    `portal/audit_seal.py` says how each column is made.
    """

    table = models.CharField(_("table"), max_length=60)
    first_id = models.BigIntegerField(_("first row"))
    last_id = models.BigIntegerField(_("last row"))
    count = models.PositiveIntegerField(_("rows"))
    columns = models.JSONField(_("columns"), default=list)
    row_digests = models.BinaryField(_("digests of the rows"), default=b"")
    digest = models.CharField(_("digest"), max_length=64)
    previous = models.CharField(_("digest of the seal before"), max_length=64)
    chain = models.CharField(_("seal"), max_length=64, unique=True)
    sealed_at = models.DateTimeField(_("sealed at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        constraints = [
            models.UniqueConstraint(fields=["table", "first_id"], name="one_seal_per_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.first_id}–{self.last_id}"
