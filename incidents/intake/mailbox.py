"""Mails fetched by IMAP (RFC 3501): each is stored, and committed, before it leaves the folder.

A crash in between has it fetched again, and the inbox knows it by then. Nothing is remembered of UIDs, so
a change of UIDVALIDITY means nothing; what two pollers fetch at once is stored once.
"""

from __future__ import annotations

import contextlib
import imaplib
import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings
from imap_tools import BaseMailBox, MailBox, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from incidents.intake import mail
from incidents.intake.parsed import Unacceptable
from incidents.rules import gettext_noop
from portal import restored
from portal.heartbeat import beat

logger = logging.getLogger(__name__)

PROCESSED, REFUSED = "Processed", "Refused"
MARK = "Processed"  # the keyword of a mail that could not be moved
TIMEOUT_SECONDS = 20
BATCH = 200
TOO_LARGE = gettext_noop("It is larger than we take; only its headers are kept.")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


def poll(now: datetime) -> int:
    """Fetch and store what lies in the folder of IMAP_URL; how many were stored.

    0 when polling is off, and in a restored copy of the database: it would take mails away from the original.
    """
    if not settings.IMAP_URL or restored.hold_reason(now):
        return 0
    count = 0
    with opened(urlsplit(settings.IMAP_URL)) as box:
        for uid in waiting(box):
            try:
                count += fetch(box, uid, now)
            except ImapToolsError as error:  # somebody else moved it, say
                logger.warning("mail %s is left in the mailbox: %s", uid, error)
    beat("mailbox", now)
    return count


@contextmanager
def opened(url: SplitResult) -> Iterator[BaseMailBox]:
    """The mailbox, signed in, its folder chosen and the two others made. Raises what the server says."""
    host = url.hostname or ""
    if url.scheme == "imaps":  # the library's own context would take any certificate
        tls = ssl.create_default_context()
        box: BaseMailBox = MailBox(host, url.port or 993, TIMEOUT_SECONDS, ssl_context=tls)
    else:
        box = MailBoxUnencrypted(host, url.port or 143, TIMEOUT_SECONDS)
    folder = unquote(url.path.strip("/")) or "INBOX"
    try:
        box.login(unquote(url.username or ""), unquote(url.password or ""), folder)
        for name in (PROCESSED, REFUSED):
            if not box.folder.exists(name):
                box.folder.create(name)
        yield box
    finally:
        with contextlib.suppress(ImapToolsError, imaplib.IMAP4.error, OSError):  # it may be gone already
            box.logout()
        with contextlib.suppress(OSError):
            box.client.shutdown()


def waiting(box: BaseMailBox) -> list[str]:
    """The oldest mails of the folder that are not marked as processed."""
    return box.uids(f"UNKEYWORD {MARK}", charset=None)[:BATCH]


def fetch(box: BaseMailBox, uid: str, now: datetime) -> bool:
    """Store one mail, then move it; whether it was stored. What cannot be stored now stays where it is."""
    size, received_at = facts_of(box, uid, now)
    is_too_large = size > settings.MAIL_MAX_BYTES
    raw = content_of(box, uid, "BODY.PEEK[HEADER]<0.65536>" if is_too_large else "BODY.PEEK[]")
    if raw is None:  # another poller was faster
        return False
    try:
        mail.receive(raw, via="imap", received_at=received_at, refused=TOO_LARGE if is_too_large else "")
    except Unacceptable as refused:
        logger.warning("mail %s is refused: %s", uid, refused)
        put_away(box, uid, REFUSED)
        return False
    except Exception:  # the database or the disk: the next pass tries again, and the other mails go on
        logger.exception("mail %s could not be stored", uid)
        return False
    put_away(box, uid, REFUSED if is_too_large else PROCESSED)
    return True


def facts_of(box: BaseMailBox, uid: str, now: datetime) -> tuple[int, datetime]:
    """Size and receipt, without the content. A receipt in the future is the server's wrong clock: now, then."""
    _status, answer = box.client.uid("FETCH", uid, "(RFC822.SIZE INTERNALDATE)")
    said = b" ".join(part if isinstance(part, bytes) else b" ".join(part) for part in answer if part)
    size, date = _SIZE.search(said), _DATE.search(said)
    return int(size[1]) if size else 0, receipt_of(date[1].decode("ascii", "replace") if date else "", now)


def receipt_of(internal_date: str, now: datetime) -> datetime:
    """When the mail server took the mail; `now` where it says nothing that can be read."""
    try:
        received_at = parsedate_to_datetime(internal_date)
    except ValueError:
        return now
    return min(received_at if received_at.tzinfo else received_at.replace(tzinfo=UTC), now)


def content_of(box: BaseMailBox, uid: str, part: str) -> bytes | None:
    """The bytes of a part, left unread on the server; None for a mail that is gone."""
    _status, answer = box.client.uid("FETCH", uid, f"({part})")
    return next((item[1] for item in answer if isinstance(item, tuple)), None)


def put_away(box: BaseMailBox, uid: str, folder: str) -> None:
    """Out of the folder; where the server does not move it, marked."""
    try:
        box.move(uid, folder)
    except ImapToolsError:
        box.flag(uid, MARK, True)
