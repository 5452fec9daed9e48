"""What a verb brings along: its text, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting, required
from incidents.models import Attachment, InboundMessage, Incident, Message
from incidents.models.timeline import FilesAttached
from portal import scanning, wakeups
from portal.models import User
from portal.uploads import validate_upload

MAX_FILES = 10
TEXT_LENGTH = 50_000


def write(
    act: Act,
    kind: str,
    text: str,
    *,
    is_public: bool = True,
    field: str = "text",
    received_at: datetime | None = None,
    inbound: InboundMessage | None = None,
) -> Message:
    """A message row of the act. Refused when the text is empty or longer than 50,000 characters.

    `received_at` is the receipt when it differs from now, `inbound` the mail that it came by.
    """
    text = required(text, field, _("Write a text."))
    if len(text) > TEXT_LENGTH:
        raise Refused(_("Shorten the text to 50,000 characters, or attach a file."), field=field)
    assert act.by is not None
    return Message.objects.create(
        incident=act.incident,
        author=act.by,
        kind=kind,
        text=text,
        is_public=is_public,
        is_from_staff=act.by.is_agent,
        channel=act.channel,
        received_at=received_at or act.now,
        inbound=inbound,
    )


def attach(act: Act, files: Sequence[UploadedFile], message: Message | None = None) -> list[Attachment]:
    """Store checked files under random names. Refused for a file that is too large or of no allowed kind."""
    if len(files) > MAX_FILES:
        raise Refused(_("Attach at most 10 files at a time."), field="attachments")
    assert act.by is not None
    found = []
    for file in files:
        try:
            checked = validate_upload(file)
        except ValidationError as error:
            raise Refused(" ".join(error.messages), field="attachments") from error
        found.append(
            Attachment.objects.create(
                incident=act.incident,
                message=message,
                file=file,
                name=checked.name,
                content_type=checked.content_type,
                size=file.size or 0,
                uploaded_by=act.by,
                uploaded_at=act.now,
                scan=Attachment.Scan.WAITING if scanning.is_configured() else Attachment.Scan.NOT_ASKED,
            )
        )
    if found and scanning.is_configured():
        wakeups.scan_on_commit()
    return found


def add_attachment(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    files: Sequence[UploadedFile],
    revision: int | None = None,
) -> list[Attachment]:
    """Add files to the incident itself, for both sides to read."""
    if not files:
        raise Refused(_("Choose a file to attach."), field="attachments")
    with acting("add_attachment", incident, by=by, now=now, channel=channel, revision=revision) as act:
        attachments = attach(act, files)
        act.record(FilesAttached(attachments=[attachment.pk for attachment in attachments]))
    return attachments
