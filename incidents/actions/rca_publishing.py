"""Publication: the approved text is frozen as a version, and as one copy for each organisation that reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from incidents.actions.base import acting
from incidents.actions.rca_base import RCAAct, rca_acting, writers_of
from incidents.actions.rca_writing import check_complete
from incidents.models import RCA, RCACopy, RCAVersion
from incidents.models.rca_timeline import RCAVersionPublished
from incidents.models.timeline import RCAPublished
from incidents.rca_reading import content_of, copy_of, incidents_of, readers_of
from portal.models import Organisation, User
from portal.verbs import Refused

NOTE_LENGTH = 300


def publish_rca(
    rca: RCA, *, by: User, now: datetime, channel: str, note: str = "", revision: int | None = None
) -> RCA:
    """Publish the approved text to its readers; the clock of each of their incidents is met at this instant.

    `note` says what a later version changed. Refused unless a second person approved the present text.
    """
    with rca_acting("publish_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        readers = _check(act, note)
        version = _freeze(act, note.strip(), readers)
        act.rca.status = RCA.Status.PUBLISHED
        act.rca.first_published_at = act.rca.first_published_at or act.now
        for incident in incidents_of(act.rca):
            with acting("note_rca_published", incident, by=by, now=act.now, channel=channel) as told:
                told.record(RCAPublished(rca_version=version.pk, number=version.number))
        act.record(RCAVersionPublished(version=version.pk))
    return rca


def _check(act: RCAAct, note: str) -> list[Organisation]:
    rca = act.rca
    if rca.reviewer_id is None or rca.reviewed_at is None or rca.reviewer_id in writers_of(rca):
        raise Refused(_("A second person must approve the text before it is published."), kind="state")
    check_complete(rca)
    if len(note) > NOTE_LENGTH:
        raise Refused(_("Write 1 to %(count)s characters.") % {"count": NOTE_LENGTH}, field="note")
    if rca.versions.exists() and not note.strip():
        raise Refused(_("Say what this version changes: its readers will see it."), field="note")
    readers = readers_of(rca)
    if not readers:
        raise Refused(_("Nobody would read it: no organisation is concerned."), kind="state")
    return readers


def _freeze(act: RCAAct, note: str, readers: list[Organisation]) -> RCAVersion:
    rca, content = act.rca, content_of(act.rca)
    latest = rca.versions.order_by("-number").first()
    assert rca.author is not None
    assert rca.reviewer is not None
    version = RCAVersion.objects.create(
        rca=rca,
        number=latest.number + 1 if latest else 1,
        note=note,
        author=rca.author,
        reviewer=rca.reviewer,
        published_at=act.now,
        published_by=act.person,
        content=content,
    )
    RCACopy.objects.bulk_create(_copy(version, organisation, content, note) for organisation in readers)
    for action in rca.actions.filter(first_due_on=None):
        action.first_due_on = action.due_on
        action.save(update_fields=["first_due_on"])
    return version


def _copy(version: RCAVersion, organisation: Organisation, content: dict[str, Any], note: str) -> RCACopy:
    own = incidents_of(version.rca, organisation)
    return RCACopy(
        version=version,
        organisation=organisation,
        incident=own[0] if own else None,
        content=copy_of(version.rca, organisation, content, note),
    )
