"""What is kept of a message in a channel, in Markdown: its words, and which files stayed there."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.actions.writing import TEXT_LENGTH
from incidents.intake.chat import markup
from incidents.intake.chat.spoken import Spoken
from incidents.models import InboundMessage
from portal.markdown import plain_text
from portal.models import ChatIdentity, Endpoint

SUBJECT_LENGTH = 300
MOST_MENTIONS = 100


def spoken_of(message: InboundMessage) -> Spoken:
    """What `reception` stored; TypeError for a row of which nothing was kept."""
    kept = dict(message.payload or {})
    return Spoken(**kept | {"files": tuple(kept.get("files", ()))})


def text_of(endpoint: Endpoint, text: str, files: Iterable[str] = ()) -> str:
    """The words in Markdown, cut to what a message holds, with a line about the files that stayed there."""
    if endpoint.service == Endpoint.Service.SLACK:
        text = markup.to_markdown(text, _names(endpoint, text), _("someone"))
    text, left = text.strip(), _left(list(files))
    return "\n\n".join(part for part in (_cut(text, TEXT_LENGTH - len(left) - 2), left) if part)


def text_of_row(message: InboundMessage) -> str:
    """The same of a stored message."""
    spoken = spoken_of(message)
    assert message.endpoint is not None
    return text_of(message.endpoint, spoken.text, spoken.files)


def note_of(message: InboundMessage, text: str) -> str:
    """The text of an internal note: whose words it holds is said, for its author only decided."""
    names = {"sender": message.sender, "channel": message.endpoint}
    head = _("From %(sender)s in the channel “%(channel)s”:") % names
    return _cut(f"{head}\n\n{text}".strip(), TEXT_LENGTH)


def first_line(text: str) -> str:
    """What a list shows of a text: the first of its words, without markup."""
    lines = (" ".join(line.split()) for line in plain_text(text).splitlines())
    return next((line[:SUBJECT_LENGTH] for line in lines if line), "")


def _names(endpoint: Endpoint, text: str) -> dict[str, str]:
    """Who is mentioned, as the channel knows them; nobody of another channel."""
    wanted = sorted(markup.mentioned(text))[:MOST_MENTIONS]
    if not wanted:
        return {}
    known = ChatIdentity.objects.filter(endpoint=endpoint, external_id__in=wanted).select_related("person")
    return {row.external_id: row.external_name or str(row.person) for row in known}


def _left(files: list[str]) -> str:
    if not files:
        return ""
    names = ["`" + " ".join(name.replace("`", "'").split()) + "`" for name in files if name.strip()]
    if len(names) < len(files):
        words = ngettext("%(count)s file is in the channel", "%(count)s files are in the channel", len(files))
        return f"[{words % {'count': len(files)}}]"
    return "[" + _("Files in the channel: %(names)s") % {"names": ", ".join(names)} + "]"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    notice = _("[Cut here: the whole message is in the channel.]")
    return f"{text[: most - len(notice) - 2]}\n\n{notice}"
