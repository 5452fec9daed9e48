"""The address of a bridge's conference, made from a template. PURE: no Django, no I/O but randomness."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

KEY_BYTES = 24  # 192 random bits: nobody guesses into a conference


def gettext_noop(text: str) -> str:
    """Mark a text for translation without translating it."""
    return text


def template_problem(template: str) -> str:
    """Why no conference can be made from the template (to be translated where shown), or "" if one can."""
    try:
        parts = urlsplit(template)
        host = parts.hostname
    except ValueError:
        return gettext_noop("This is not an address. Use one such as https://meet.example.com/{key}.")
    if parts.scheme != "https" or not host or parts.username is not None:
        return gettext_noop("Use an https address such as https://meet.example.com/{key}.")
    if "{key}" not in parts.path + parts.query + parts.fragment:
        return gettext_noop(
            "Put {key} behind the host: it is random for each bridge, so that nobody guesses the address."
        )
    if any(character.isspace() for character in template):
        return gettext_noop("Leave the blanks out of the address.")
    rest = template.replace("{key}", "").replace("{reference}", "")
    if "{" in rest or "}" in rest:
        return gettext_noop("Only {key} and {reference} can be filled in.")
    return ""


def conference_address(template: str, reference: str) -> str:
    """A new address, never made before. The template has no problem."""
    key = secrets.token_urlsafe(KEY_BYTES)
    return template.replace("{key}", key).replace("{reference}", reference)
