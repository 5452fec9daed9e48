"""The pages that are measured: who asks for what, and which empty page each is held against."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from bench.scale_server import Answer, Browser, Site

PORTAL, DESK, API = "empty page", "empty desk page", "empty API answer"
RARE, COMMON = "quokka", "requests"


@dataclass(frozen=True)
class Page:
    """`path` gets the facts of a database and the number of the round, so that no two rounds ask the same."""

    name: str
    who: str
    base: str
    path: Callable[[dict, int], str]
    is_search: bool = False
    is_loaded: bool = False  # measured at concurrency 8, too

    def get(self, site: Site, turn: int, browser: Browser | None = None, **headers: str) -> Answer:
        return (browser or site.browsers[self.who]).ask("GET", self.path(site.facts, turn), **headers)


@dataclass(frozen=True)
class Deed:
    """Something that writes."""

    name: str
    base: str
    do: Callable[..., Answer]  # (site, turn, **headers)


def at(path: str) -> Callable[[dict, int], str]:
    return lambda facts, turn: path


def each(pattern: str, name: str) -> Callable[[dict, int], str]:
    """Another one of the facts of that name in each round."""
    return lambda facts, turn: pattern.format(facts[name][turn % len(facts[name])])


INCIDENTS, WINDOWS = "/admin/incidents/incident/", "/admin/maintenance/maintenancewindow/"
EMPTY = [
    Page(PORTAL, "customer", PORTAL, at("/bench/empty/"), is_loaded=True),
    Page(DESK, "staff", DESK, at("/bench/empty-desk/"), is_loaded=True),
    Page(API, "api", API, at("/bench/empty-api/"), is_loaded=True),
]
PAGES = [
    *EMPTY,
    Page("staff queue", "staff", DESK, at(INCIDENTS), is_loaded=True),
    Page("desk: all incidents", "staff", DESK, at(f"{INCIDENTS}?view=all")),
    Page("desk: landing page", "staff", DESK, at("/admin/")),
    Page("desk: incident", "staff", DESK, each(INCIDENTS + "{}/change/", "ids")),
    Page("desk: people", "staff", DESK, at("/admin/portal/user/")),
    Page("desk: organisations", "staff", DESK, at("/admin/portal/organisation/")),
    Page("desk: outbox", "staff", DESK, at("/admin/portal/outboxmessage/")),
    Page("desk: windows", "staff", DESK, at(WINDOWS)),
    Page("desk: RCAs", "staff", DESK, at("/admin/incidents/rca/")),
    Page("staff: list in the portal", "staff", PORTAL, at("/incidents/?show=all")),
    Page("incident page", "customer", PORTAL, each("/incidents/{}/", "references"), is_loaded=True),
    Page("customer list", "customer", PORTAL, at("/incidents/"), is_loaded=True),
    Page("customer list: all", "customer", PORTAL, at("/incidents/?show=all")),
    Page("home", "customer", PORTAL, at("/"), is_loaded=True),
    Page("status page", "customer", PORTAL, at("/status/")),
    Page("one service's status", "customer", PORTAL, each("/status/{}/", "services")),
    Page("SLA page", "customer", PORTAL, at("/sla/")),
    Page("maintenance list", "customer", PORTAL, at("/maintenance/")),
    Page("announcements", "customer", PORTAL, at("/announcements/")),
    Page("knowledge", "customer", PORTAL, at("/knowledge/")),
    Page("reports", "customer", PORTAL, at("/reports/")),
    Page("audit", "customer", PORTAL, at("/audit/")),
    Page("people", "customer", PORTAL, at("/people/")),
    Page("form to file", "customer", PORTAL, at("/incidents/new/")),
    Page("API: incidents", "api", API, at("/api/v1/incidents/"), is_loaded=True),
    Page("API: one incident", "api", API, each("/api/v1/incidents/{}/", "references")),
]
SEARCHES = [
    Page(f"{side}: {kind} word", who, base, at(f"{path}={quote(word)}"), is_search=True, is_loaded=kind == "common")
    for side, who, base, path in (
        ("search by a customer", "customer", PORTAL, "/incidents/?show=all&q"),
        ("search by staff", "staff", PORTAL, "/incidents/?show=all&q"),
        ("search on the desk", "staff", DESK, f"{INCIDENTS}?view=all&q"),
        ("search by API", "api", API, "/api/v1/incidents/?q"),
    )
    for kind, word in (("rare", RARE), ("common", COMMON))
]  # fmt: skip


def file(site: Site, turn: int, **headers: str) -> Answer:
    """File an incident by the form, each with words of its own."""
    form = {
        "organisation": str(site.facts["organisation"]),
        "title": f"Completions time out, number {turn}",
        "description": f"Since this morning, about {turn} of our requests fail.",
        "claimed_level": ("P2", "P3")[turn % 2],
        "impact": "degraded",
        "token": f"{time.time_ns()}",
    }
    answer = site.browsers["customer"].post("/incidents/new/", form, **headers)
    site.filed.append(answer.headers["Location"].strip("/").rsplit("/", 1)[-1])
    return answer


def reply(site: Site, turn: int, **headers: str) -> Answer:
    """A customer's reply to what was filed last."""
    text = {"text": f"It happens again, {turn} times by now."}
    return site.browsers["customer"].post(f"/incidents/{site.filed[-1]}/replies/", text, **headers)


def alarm(site: Site, turn: int, **headers: str) -> Answer:
    """An alarm that opens an incident."""
    name = f"bench-{time.time_ns()}"
    alert = {
        "status": "firing",
        "labels": {"alertname": "Bench", "severity": "warning", "instance": name},
        "annotations": {"summary": f"{name} is slow"},
        "fingerprint": name,
    }
    headers |= {"Authorization": f"Bearer {site.facts['alarms']}", "Content-Type": "application/json"}
    body = json.dumps({"alerts": [alert]}).encode()
    return site.browsers["api"].ask("POST", "/api/v1/alarms/alertmanager/", body, **headers)


DEEDS = [Deed("filing", PORTAL, file), Deed("reply", PORTAL, reply), Deed("alarm in", API, alarm)]
