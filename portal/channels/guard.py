"""Where a webhook may go: never into our own network, whatever the address looks like or resolves to.

`check` reads an address without asking anybody; it holds when an endpoint is saved and again when a
webhook is sent. `connect` asks the resolver once, checks every address of the answer, and connects to
exactly one of those: a name that changes its mind in between (rebinding) gains nothing. WEBHOOK_ALLOWED_HOSTS
names receivers inside, for installations on a closed network.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

CONNECT_SECONDS = 5.0
TRIES = 2  # addresses of one name
DEFAULT_PORTS = {"https": 443, "http": 80}
LOW_PORTS = frozenset(DEFAULT_PORTS.values())
DATABASE_PORTS = frozenset({3306, 5432, 6379, 11211, 27017})
PRINTABLE = re.compile(r"[\x21-\x7e]+")
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME = re.compile(rf"(?:{LABEL}\.)+{LABEL}")
NUMERIC = re.compile(
    r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)"
)  # how resolvers tell a number from a name (WHATWG URL, 3.5)
INNER_DOMAINS = ("localhost", "localdomain", "local", "internal", "lan", "home.arpa")  # RFC 6761, 6762, 8375

# IANA's registries of special-purpose addresses (RFC 6890). All else of IPv4 is public.
SPECIAL_V4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
# Of IPv6, global unicast is public, but for what wraps IPv4 (Teredo, 6to4) and what documents.
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
SPECIAL_V6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
SPECIAL = [ipaddress.ip_network(network) for network in (SPECIAL_V4 + SPECIAL_V6).split()]


class Refused(Exception):
    """No webhook may go there; the text says why."""


@dataclass(frozen=True)
class Target:
    """An address that was read and may be asked for."""

    scheme: str
    host: str
    port: int
    path: str
    is_allowed: bool  # named by the installation itself

    @property
    def netloc(self) -> str:
        """Host and, where it is not the usual one, port: as in a Host header (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The address without its path, which often is a secret."""
        return f"{self.scheme}://{self.netloc}/"


def check(url: str, allowed: Collection[str] | None = None) -> Target:
    """Read an address without asking a resolver. Refused with the reason if no webhook may go there.

    `allowed` names hosts inside that may be asked all the same; None is WEBHOOK_ALLOWED_HOSTS.
    """
    parts, port = _split(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise Refused(_("The address must begin with https://."))
    if "@" in parts.netloc:
        raise Refused(_("The address must not hold a name or a password."))
    host, port = parts.hostname or "", DEFAULT_PORTS[parts.scheme] if port is None else port
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, host, port, path, is_allowed=_is_named(host, port, allowed))
    if not target.is_allowed:
        _check_scheme_and_port(target)
        _check_host(target.host)
    return target


def _split(url: str) -> tuple[SplitResult, int | None]:
    if not PRINTABLE.fullmatch(url) or "\\" in url:
        raise Refused(_("The address may hold plain letters, digits and signs only: no space, no backslash."))
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise Refused(_("This is not an address.")) from error


def _is_named(host: str, port: int, allowed: Collection[str] | None) -> bool:
    """Whether the installation names this host, or this host and port, as a receiver."""
    named = settings.WEBHOOK_ALLOWED_HOSTS if allowed is None else allowed
    name = f"[{host}]" if ":" in host else host
    return bool(host) and not {name, f"{name}:{port}"}.isdisjoint(named)


def _check_scheme_and_port(target: Target) -> None:
    if target.scheme != "https":
        raise Refused(_("The address must begin with https://."))
    if (target.port < 1024 and target.port not in LOW_PORTS) or target.port in DATABASE_PORTS:
        raise Refused(_("Webhooks do not go to port %(port)s.") % {"port": target.port})


def _check_host(host: str) -> None:
    """A public address in its one usual form, or a full name that is not one of the inside."""
    if ":" in host or NUMERIC.fullmatch(host):
        try:
            if "%" in host:
                raise ValueError(host)  # a zone is one of this machine
            address = ipaddress.ip_address(host)
        except ValueError as error:
            raise Refused(_("The host is not an address in its usual form.")) from error
        _check_address(address)
    elif not NAME.fullmatch(host) or len(host) > 253:
        raise Refused(_("The host must be a full name such as hooks.example.com, without a dot at its end."))
    elif host.endswith(tuple(f".{domain}" for domain in INNER_DOMAINS)):
        raise Refused(_("The host is a name of an inner network."))


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether anybody on the internet could own this address. Forms that wrap an IPv4 address are not."""
    if address.version == 6 and address not in PUBLIC_V6:
        return False
    return not any(address in network for network in SPECIAL)


def _check_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not is_public(address):
        raise Refused(_("The host is at an address of an inner network."))


def connect(target: Target) -> socket.socket:
    """A connection to one of the target's checked addresses. Refused, or OSError when nobody answers."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    if not target.is_allowed:  # one private address among several is no slip: refuse them all
        for *_family, address in found:
            _check_address(ipaddress.ip_address(address[0]))
    failure = OSError("the name has no address")
    for family, kind, protocol, _name, address in found[:TRIES]:
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(CONNECT_SECONDS)
            line.connect(address)
        except OSError as error:
            line.close()
            failure = error
        else:
            return line
    raise failure
