"""What readers say to a published RCA: they comment, staff answer, and they accept a version."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from incidents.actions.rca_base import rca_acting, text_of
from incidents.models import RCA, RCAComment, RCACopy
from incidents.models.rca_timeline import RCAAccepted, RCACommented
from portal.models import Organisation, User
from portal.verbs import Refused


def comment_rca(
    rca: RCA, *, by: User, now: datetime, channel: str, organisation: Organisation, text: str
) -> RCAComment:
    """A customer's word about what their organisation read, or the answer of staff to that organisation."""
    with rca_acting("comment_rca", rca, by=by, now=now, channel=channel, organisation=organisation) as act:
        if not RCACopy.objects.filter(version__rca=act.rca, organisation=organisation).exists():
            raise Refused(
                _("The organisation has not read this RCA: it is not published to it."), kind="state"
            )
        words = text_of(text, "text", _("Write a text."))
        comment = RCAComment.objects.create(
            rca=act.rca, organisation=organisation, author=by, text=words, at=act.now
        )
        act.record(RCACommented(comment=comment.pk, organisation=organisation.pk))
    return comment


def accept_rca(copy: RCACopy, *, by: User, now: datetime, channel: str) -> RCACopy:
    """The organisation accepts the version that its copy is of; the latest one only, and once."""
    rca = copy.version.rca
    with rca_acting(
        "accept_rca", rca, by=by, now=now, channel=channel, organisation=copy.organisation
    ) as act:
        locked = RCACopy.objects.select_related("version").get(pk=copy.pk)
        newer = RCACopy.objects.filter(
            version__rca=act.rca,
            organisation=locked.organisation_id,
            version__number__gt=locked.version.number,
        )
        if newer.exists():
            raise Refused(_("There is a newer version. Read and accept that one."), kind="stale")
        if locked.accepted_at is not None:
            raise Refused(_("Your organisation has accepted this version already."), kind="state")
        locked.accepted_at, locked.accepted_by = act.now, by
        locked.save(update_fields=["accepted_at", "accepted_by"])
        act.record(RCAAccepted(copy=locked.pk, organisation=locked.organisation_id))
    copy.refresh_from_db()
    return copy
