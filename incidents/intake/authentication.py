"""Whether our own mail server vouches for the From domain (RFC 8601, RFC 7489). PURE.

Anybody can write an Authentication-Results field. Ours counts only where nobody but our servers can have
put it: in the block on top of the header, above every field that another host wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import authres
from authres import dmarc
from authres.core import AuthenticationResult, AuthResError

from incidents.intake.mime import Headers
from incidents.intake.parsed import AuthenticationResult as Verdict

_CONTEXT = authres.FeatureContext(dmarc)
_BY = re.compile(r"\bby\s+\[?([^\s;()\]]+)", re.IGNORECASE)
MAX_LENGTH = 10_000


def authentication_of(headers: Headers, from_domain: str, authserv_ids: Collection[str]) -> Verdict:
    """What the topmost field of ours says of `from_domain`; "none" when there is none, or it is malformed.

    pass: dmarc passed, or dkim or spf passed for a domain aligned with `from_domain`. fail: dmarc failed,
    or something was checked and nothing passed. `from_domain` "" (no From, or several) never passes.
    """
    results = _own_results(headers, {name.strip().lower() for name in authserv_ids if name.strip()})
    checked = [result for result in results if result.method in ("dmarc", "dkim", "spf")]
    if not checked:
        return "none"
    domain = _ascii(from_domain)
    dmarcs = [result for result in checked if result.method == "dmarc"]
    if any(_verdict(result) == "fail" for result in dmarcs) or not domain:
        return "fail"
    return "pass" if any(_passes(result, domain) for result in checked) else "fail"


def _own_results(headers: Headers, ours: set[str]) -> list[AuthenticationResult]:
    for name, value in headers.fields:
        if name == "received" and not _is_by_us(value, ours):
            return []
        if name == "authentication-results":
            return _results(value, ours)
    return []


def _results(value: str, ours: set[str]) -> list[AuthenticationResult]:
    """The results of a field of ours; none for anybody else's, and for what is no such field."""
    if len(value) > MAX_LENGTH:
        return []
    try:
        parsed = _CONTEXT.parse_value(" ".join(value.split()))
    except (AuthResError, RecursionError):
        return []  # the comments in it may be nested without end
    is_ours = str(parsed.authserv_id or "").lower() in ours
    return [result for result in parsed.results if result.method] if is_ours else []


def _is_by_us(received: str, ours: set[str]) -> bool:
    """A hop inside our own house: named like one of our servers, or without a name in the DNS at all."""
    match = _BY.search(received)
    if match is None:
        return False
    host = match.group(1).lower().rstrip(".")
    if "." not in host:
        return True
    return any(host == name or host.endswith("." + _house(name)) for name in ours)


def _house(name: str) -> str:
    """mx1.example.com stands in example.com; example.com stands for itself."""
    return name.partition(".")[2] if name.count(".") >= 2 else name


def _verdict(result: AuthenticationResult) -> str:
    return str(result.result or "").lower()


def _passes(result: AuthenticationResult, domain: str) -> bool:
    if _verdict(result) != "pass":
        return False
    match result.method:
        case "dmarc":
            said = _property(result, "header", "from")
            return not said or _is_aligned(said, domain)
        case "dkim":
            said = _property(result, "header", "d") or _property(result, "header", "i")
            return _is_aligned(said, domain)
        case _:
            return _is_aligned(_property(result, "smtp", "mailfrom"), domain)


def _property(result: AuthenticationResult, kind: str, name: str) -> str:
    """The domain that a property names, without the local part of an address."""
    for known in result.properties:
        if known.type.lower() == kind and known.name.lower() == name:
            return _ascii(str(known.value or "").rpartition("@")[2])
    return ""


def _is_aligned(said: str, domain: str) -> bool:
    """Relaxed alignment (RFC 7489 §3.1), the organisation's domain taken as the shorter of the two."""
    if "." not in said or "." not in domain:
        return False
    return said == domain or said.endswith("." + domain) or domain.endswith("." + said)


def _ascii(domain: str) -> str:
    """One spelling for an international domain; as it is when it has no other."""
    domain = domain.strip().strip("<>").rstrip(".").lower()
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
