"""The database that this product lives in, so that a restored copy of it knows that it is one."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import TypedModelMeta


class Home(models.Model):
    """One row: the mark of the database in which messages may go out. See `portal/restored.py`."""

    mark = models.CharField(_("mark"), max_length=64)
    adopted_at = models.DateTimeField(_("since"))

    class Meta(TypedModelMeta):
        verbose_name = _("home")
        verbose_name_plural = _("homes")
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_home")]

    def __str__(self) -> str:
        return self.mark
