"""What of a mail goes into an incident: its text, its title, its files; and what is left out, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.utils.translation import gettext as _

from incidents.actions.opening import TITLE_LENGTH
from incidents.actions.writing import MAX_FILES, TEXT_LENGTH
from incidents.intake.parsed import ParsedMail
from incidents.intake.subjects import title_from
from portal.models import Service
from portal.uploads import clean_name, validate_upload

# As the parser words its reasons.
ANSWERS = ("auto-replied", "vacation", "absence", "autoreply", "auto-reply", "autorespond", "subject:")
NOTICES = ("calendar answer", "read receipt", "report")
LISTS = ("precedence: list", "list-id", "list-unsubscribe")


def is_answer_of_machine(reason: str) -> bool:
    """Whether an automatic mail answers or reports: those are never an incident."""
    return any(name in reason.lower() for name in (*ANSWERS, *NOTICES))


def is_through_a_list(reason: str) -> bool:
    """Whether a person may have written it all the same: their company's list only passed it on."""
    return reason.lower().startswith(LISTS)


def text_of(mail: ParsedMail) -> str:
    """The new words; all of them where nothing seems to be new."""
    return mail.text.strip() or mail.full_text.strip()


def reply_text(mail: ParsedMail) -> str:
    """The text of a reply, cut to what a message holds; the whole mail stays one click away."""
    return _cut(text_of(mail) or _("(no text, files only)"))


def note_text(mail: ParsedMail, sender: str) -> str:
    """The text of an internal note: whose words it holds is said, for its author only decided."""
    head = _("Mail from %(sender)s: %(subject)s") % {"sender": sender, "subject": mail.subject[:300]}
    return _cut(f"{head}\n\n{text_of(mail)}".strip())


def _cut(text: str) -> str:
    if len(text) <= TEXT_LENGTH:
        return text
    notice = _("[Cut here: the whole mail is kept, one click away.]")
    return f"{text[: TEXT_LENGTH - len(notice) - 2]}\n\n{notice}"


def title_and_description(title: str, mail: ParsedMail) -> tuple[str, str]:
    """The title of a new incident, and its text; a subject that is too long stands in the text as well."""
    text = text_of(mail)
    title = title or title_from(text) or _("(no subject)")
    if len(title) > TITLE_LENGTH:
        text = f"{title}\n\n{text}"
        title = title[: TITLE_LENGTH - 2].rstrip() + " …"
    return title, _cut(text)


def named_services(subject: str, used: Iterable[Service]) -> list[Service]:
    """The services that the subject names by their whole names."""
    words = f" {' '.join(''.join(c if c.isalnum() else ' ' for c in subject.casefold()).split())} "
    return [
        service
        for service in used
        if f" {' '.join(''.join(c if c.isalnum() else ' ' for c in service.name.casefold()).split())} "
        in words
    ]


@dataclass
class Files:
    """The files of a mail that an incident takes, and what is said of the others."""

    taken: list[UploadedFile] = field(default_factory=list)
    left_out: str = ""


def usable_files(mail: ParsedMail) -> Files:
    """Each file on its own: one of a kind that is not taken keeps back neither the text nor the others."""
    found, refused = Files(), []
    for file in mail.files:
        upload = SimpleUploadedFile(clean_name(file.name), file.content)
        try:
            validate_upload(upload)
        except ValidationError as error:
            refused.append(" ".join(error.messages))
            continue
        if len(found.taken) < MAX_FILES:
            found.taken.append(upload)
        else:
            refused.append(_("“%(name)s”: more than 10 files.") % {"name": upload.name})
    refused += mail.notices
    if refused:
        found.left_out = " ".join([_("Left in the mail:"), *refused])[:2000]
    return found
