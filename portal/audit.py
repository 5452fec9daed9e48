"""The audit: who did and changed what. One way in (`record`), one table, sealed in batches.

What happens to incidents, maintenance windows and RCAs stands in their timelines, which are sealed as this
table is; what has no timeline (sign-ins, rights, settings, tokens, reads of files, exports, looking at the
portal as somebody else) is recorded here.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from portal.audit_words import kind_of
from portal.models import AuditEntry, AuditOrigin, Organisation, User
from portal.origin import address_of, browser_of


def record(
    kind: str,
    *,
    by: User | None,
    now: datetime,
    organisation: Organisation | None = None,
    subject: str = "",
    facts: dict[str, Any] | None = None,
    request: HttpRequest | None = None,
) -> AuditEntry:
    """Append one entry, in the caller's transaction if there is one; returns it.

    `by` is None for the machine. `subject` names the thing as “noun/key” (“token/17”, “incident/INC-1042”).
    `facts` holds ids and facts, never names, addresses or texts. The request says where it came from; while
    a member of the staff looks at the portal as somebody else, it also says as whom. ValueError for a kind
    that `portal/audit_words.py` does not declare.
    """
    kind_of(kind)
    impersonator: User | None = getattr(request, "impersonator", None)
    origin = _origin(request) if request is not None else None
    entry = AuditEntry(
        kind=kind,
        at=now.replace(microsecond=0),
        by=impersonator or by,
        on_behalf_of=by if impersonator else None,
        organisation=organisation,
        subject=subject[:120],
        facts=facts or {},
        origin_digest=digest_of_origin(origin) if origin else "",
    )
    with transaction.atomic(savepoint=False):
        entry.save(force_insert=True)
        if origin:
            origin.entry = entry
            origin.save(force_insert=True)
    return entry


def record_of_person(kind: str, person: User, **about: Any) -> None:
    """Append an entry for each organisation that `person` belongs to, for each audits its own people.

    One entry without an organisation for somebody of none, such as staff. `about` is what `record` takes.
    """
    organisations: list[Organisation | None] = list(
        Organisation.objects.filter(memberships__user=person).order_by("pk")
    )
    for organisation in organisations or [None]:
        record(kind, organisation=organisation, **about)


def _origin(request: HttpRequest) -> AuditOrigin:
    return AuditOrigin(salt=secrets.token_hex(16), address=address_of(request), browser=browser_of(request))


def digest_of_origin(origin: AuditOrigin) -> str:
    """What the entry keeps of its origin, so that neither can be changed unseen (SHA-256, salted)."""
    text = json.dumps([origin.salt, origin.address, origin.browser], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
