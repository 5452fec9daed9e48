"""Uploads: checked at the door, kept under random names, served as attachments that cannot act.

Nothing here opens an archive or a document. What the sender says about the type is never believed: the
extension must be on the list, and the first bytes must be of that kind.
"""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import IO

import puremagic
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

_OFFICE = "application/vnd.openxmlformats-officedocument"
TEXTS = {
    ".csv": "text/csv",
    ".eml": "message/rfc822",
    ".har": "application/json",
    ".json": "application/json",
    ".log": "text/plain",
    ".md": "text/plain",
    ".txt": "text/plain",
    ".yaml": "text/plain",
    ".yml": "text/plain",
}
BINARIES = {
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".tgz": "application/gzip",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".zip": "application/zip",
}
ALLOWED = TEXTS | BINARIES  # extension -> the content type that we will say
# No text: in which characters somebody wrote it is not known, so nothing is said that may be wrong.
SERVED_AS_THEY_ARE = {"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"}
NAME_LENGTH = 150

_SAME_BYTES = {".jpeg": ".jpg", ".tgz": ".gz", ".docx": ".zip", ".pptx": ".zip", ".xlsx": ".zip"}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNSAFE = re.compile(r'[<>:"/\\|?*]+')
_INVISIBLE = {"Cf"}  # direction marks that make exe.txt out of txt.exe, and their kin
_UNPRINTABLE = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³])\s*(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Checked:
    """A file that passed: the name to show, and the content type to say."""

    name: str
    content_type: str


def random_name() -> str:
    """128 random bits: nothing of the sender's name reaches the file system."""
    return secrets.token_hex(16)


def clean_name(name: str) -> str:
    """The sender's file name as any system can keep it: no folder, no control character, no reserved word.

    At most 150 characters, the extension kept; "file" where nothing is left.
    """
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    kinds = ((character, unicodedata.category(character)) for character in base)
    base = "".join("_" if kind in _UNPRINTABLE else c for c, kind in kinds if kind not in _INVISIBLE)
    base = " ".join(_UNSAFE.sub("_", base).split()).strip(" .")
    if _RESERVED.fullmatch(base):
        base = f"_{base}"
    stem, extension = os.path.splitext(base or "file")
    extension = extension[:10]
    return (stem[: NAME_LENGTH - len(extension)].rstrip(" .") + extension).rstrip(" .")


def validate_upload(file: UploadedFile) -> Checked:
    """Check size, kind and content of an upload. ValidationError with a sentence for the sender."""
    name = clean_name(file.name or "")
    extension = os.path.splitext(name)[1].lower()
    if not file.size:
        raise ValidationError(_("“%(name)s” is empty."), code="empty", params={"name": name})
    if file.size > settings.UPLOAD_MAX_BYTES:
        raise ValidationError(
            _("“%(name)s” is larger than %(limit)s."),
            code="too_large",
            params={"name": name, "limit": filesizeformat(settings.UPLOAD_MAX_BYTES)},
        )
    if extension not in ALLOWED:
        raise ValidationError(
            _("“%(name)s” is of a kind that we do not take. Allowed: %(kinds)s. Put others into a .zip."),
            code="kind",
            params={"name": name, "kinds": ", ".join(sorted(ALLOWED))},
        )
    if not _is_what_it_says(file, extension):
        raise ValidationError(
            _("“%(name)s” is not what its name says. Rename it to what it is, or put it into a .zip."),
            code="content",
            params={"name": name},
        )
    return Checked(name=name, content_type=ALLOWED[extension])


def serve_attachment(file: IO[bytes], name: str, content_type: str) -> FileResponse:
    """Send a stored file as a download: never rendered, never sniffed, kept by nobody on the way."""
    said = content_type if content_type in SERVED_AS_THEY_ARE else "application/octet-stream"
    response = FileResponse(file, as_attachment=True, filename=clean_name(name), content_type=said)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, no-store"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _is_what_it_says(file: UploadedFile, extension: str) -> bool:
    """Text has no NUL (Windows' logs, in UTF-16, begin with its mark); all else has its signature."""
    file.seek(0)
    head = file.read(8192)
    file.seek(0)
    if extension in TEXTS:
        return head.startswith(_UTF_16) or b"\0" not in head
    return _SAME_BYTES.get(extension, extension) in _kinds(head)


def _kinds(head: bytes) -> set[str]:
    """The extensions that the first bytes may belong to."""
    try:
        found = puremagic.magic_string(head)
    except puremagic.PureError:
        return set()
    kinds = {match.extension.lower() for match in found}
    return kinds | {_SAME_BYTES.get(kind, kind) for kind in kinds}
