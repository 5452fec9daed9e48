"""Uploads: checked at the door, kept under random names, served as attachments that cannot act."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from typing import IO

import puremagic
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse
from django.utils.translation import gettext as _

# Extension -> content type that we will say. What the sender says is never believed.
ALLOWED = {
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".log": "text/plain",
    ".md": "text/plain",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".txt": "text/plain",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "text/plain",
    ".yml": "text/plain",
    ".zip": "application/zip",
}
BINARY = {".docx", ".gif", ".gz", ".jpeg", ".jpg", ".pdf", ".png", ".pptx", ".webp", ".xlsx", ".zip"}
SAME_CONTENT = {".jpeg": ".jpg", ".docx": ".zip", ".pptx": ".zip", ".xlsx": ".zip"}
NAME_LENGTH = 150
UNSAFE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069<>:\"/\\|?*]+")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Checked:
    """A file that passed: the name to show, and the content type to say."""

    name: str
    content_type: str


def random_name() -> str:
    """128 random bits: nothing of the sender's name reaches the file system."""
    return secrets.token_hex(16)


def clean_name(name: str) -> str:
    """The sender's file name without folders, control characters or reserved words, 150 characters at most."""
    base = os.path.basename(name.replace("\\", "/"))
    base = UNSAFE.sub("_", base).strip(" .") or "file"
    if RESERVED.fullmatch(base):
        base = f"_{base}"
    stem, extension = os.path.splitext(base)
    return stem[: NAME_LENGTH - len(extension[:10])] + extension[:10]


def validate_upload(file: UploadedFile) -> Checked:
    """Check size, kind and content of an upload. ValidationError with a sentence for the sender."""
    name = clean_name(file.name or "")
    extension = os.path.splitext(name)[1].lower()
    size = file.size or 0
    if size == 0:
        raise ValidationError(_("“%(name)s” is empty.") % {"name": name})
    if size > settings.UPLOAD_MAX_BYTES:
        limit = settings.UPLOAD_MAX_BYTES // (1024 * 1024)
        raise ValidationError(_("“%(name)s” is larger than %(limit)s MB.") % {"name": name, "limit": limit})
    if extension not in ALLOWED:
        raise ValidationError(
            _("“%(name)s” is of a kind that we do not take. Allowed: %(kinds)s. Put others into a .zip.")
            % {"name": name, "kinds": ", ".join(sorted(ALLOWED))}
        )
    _check_content(file, name, extension)
    return Checked(name=name, content_type=ALLOWED[extension])


def _check_content(file: UploadedFile, name: str, extension: str) -> None:
    file.seek(0)
    head = file.read(8192)
    file.seek(0)
    if extension in BINARY:
        wanted = SAME_CONTENT.get(extension, extension)
        is_right = wanted in _kinds(head)
    else:
        is_right = b"\0" not in head
    if not is_right:
        raise ValidationError(
            _("“%(name)s” is not what its name says. Rename it to what it is, or put it into a .zip.")
            % {"name": name}
        )


def _kinds(head: bytes) -> set[str]:
    """The extensions that the first bytes may belong to."""
    try:
        found = puremagic.magic_string(head)
    except puremagic.PureError:
        return set()
    kinds = {match.extension.lower() for match in found}
    return kinds | {SAME_CONTENT.get(kind, kind) for kind in kinds}


def serve_attachment(file: IO[bytes], name: str, content_type: str) -> FileResponse:
    """Send a stored file as a download: never rendered, never sniffed, never cached by others."""
    response = FileResponse(file, as_attachment=True, filename=name, content_type=content_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, no-store"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
