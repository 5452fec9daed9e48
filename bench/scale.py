"""Every page at 10k, 100k and 1M incidents, beside an empty page and its bare SQL: `make bench`.

    DATABASE_URL=postgres://user@host/postgres python -m bench.scale [--short] [--keep] [--sizes 10k,100k,1m]

Makes a database for each size on the server of DATABASE_URL (`scale_10k`, …), fills it by `seed_bulk`, and starts
the production web server before each, all at once. A round asks each page once of each of them, so noise is
shared; then pages are asked by eight at once. One that is there already is used as it is and stays; those of this
run are dropped at its end unless `--keep`. Each run leaves the incidents that it files. `--short` is for less than
five minutes. Writes `bench/results/scale.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from bench import outbox
from bench.alarms import ROOT
from bench.scale_pages import DEEDS, PAGES, SEARCHES, Deed, Page
from bench.scale_report import Figures, Report, Row
from bench.scale_server import Answer, Failed, Server, Site, environment, manage, prepare, python, serving

COUNTS = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
OPEN = {"1k": 1_250, "10k": 12_500, "100k": 125_000}  # four of five stay open
CLIENTS = 8
RESULTS = ROOT / "bench" / "results" / "scale.md"


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", help="of 10k, 100k and 1m (default: all; short: the first two)")
    parser.add_argument("--rounds", type=int, help="how often each page is asked (default 40; short: 8)")
    parser.add_argument(
        "--seconds", type=float, help="how long all pages are asked by eight at once (60; short: 10)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes of the web server (as `manage.py run`: 1)"
    )
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the databases, for the next run")
    parser.add_argument("--only", help="only pages whose name holds this; nothing that writes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.sizes = (options.sizes or ("10k,100k" if options.short else "10k,100k,1m")).split(",")
    options.rounds = options.rounds or (8 if options.short else 40)
    options.seconds = options.seconds or (10 if options.short else 60)
    return options


def main() -> None:
    options, server = asked(), Server(os.environ.get("DATABASE_URL", ""))
    if not server.url.startswith("postgres"):
        raise SystemExit("Set DATABASE_URL to a PostgreSQL server on which databases may be made.")
    with tempfile.TemporaryDirectory(prefix="scale-") as name, ExitStack() as stack:
        folder = Path(name)
        sites = [site_of(size, server, folder, stack, options.keep) for size in options.sizes]
        report = Report(options.sizes, rows(options.only), about(options))
        pages_of(report, sites, options)
        keep(report, options.out)  # should the rest fail
        if not options.only:
            report.mails = {site.name: mails(site, folder, options.short) for site in sites}
            report.sweeps = list(sweeps(server, folder, options))
    keep(report, options.out)
    print(report.text())


def keep(report: Report, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(report.text())


def about(options: argparse.Namespace) -> list[str]:
    cores = os.cpu_count()
    return [
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by `python -m bench.scale` on {cores} cores, which the client,",
        f"PostgreSQL and {len(options.sizes)} web servers (gunicorn, {options.workers} × 8 threads, DEBUG=false) shared;"
        f" {options.rounds} rounds, load average {os.getloadavg()[0]:.1f}.",
        "Times are those of the whole answer at the client. SQL is the time of all of a page's statements until their",
        "last row was in the process. Every page is asked for something else in each round, where it can be.",
    ]


def rows(only: str | None) -> dict[str, Row]:
    chosen = [page for page in [*PAGES, *SEARCHES] if not only or page.name == page.base or only in page.name]
    found = {page.name: Row(page.name, page.base, page.is_search) for page in chosen}
    return found | ({} if only else {deed.name: Row(deed.name, deed.base) for deed in DEEDS})


def site_of(size: str, server: Server, folder: Path, stack: ExitStack, keep: bool) -> Site:
    """The database of that size with what is asked of it; its web server is not started yet."""
    name = f"scale_{size}"
    site = Site(size, environment(server, name, folder))
    is_new = prepare(server, name, site.env, "--incidents", str(COUNTS[size]))
    if is_new and not keep:
        stack.callback(server.drop, name)
    site.facts = json.loads(python(site.env, "-m", "bench.scale_inside", "facts"))
    print(
        f"{size}: {site.facts['incidents']:,} incidents of {site.facts['customer']}'s organisation",
        flush=True,
    )
    return site


# --- pages ---


def pages_of(report: Report, sites: list[Site], options: argparse.Namespace) -> None:
    """Fill in the pages' figures, with all web servers up."""
    pages = [page for page in [*PAGES, *SEARCHES] if page.name in report.rows]
    manage(sites[0].env, "collectstatic", "--no-input", "-v0")  # one folder for all of them
    with ExitStack() as stack:
        for site in sites:
            stack.enter_context(serving(site, options.workers))
        began = time.monotonic()
        warm(report, pages, sites)
        memory = {site.name: [site.rss()] for site in sites}
        for turn in range(1, options.rounds + 1):
            one_round(report, pages, sites, turn, is_writing=not options.only)
            print(f"round {turn} of {options.rounds}, {time.monotonic() - began:.0f} s", flush=True)
        for site in sites:
            memory[site.name].append(site.rss())
        at_once(report, pages, sites, options)
        for site in sites:
            memory[site.name].append(site.rss())
    report.memory = memory


def warm(report: Report, pages: list[Page], sites: list[Site]) -> None:
    """The first request of each page loads what all others use. One that fails is noted, and not asked again."""
    for site in sites:
        for page in pages:
            try:
                page.get(site, 0)
            except Failed as error:
                print(f"{site.name}: {page.name} failed: {error}", flush=True)
                report.rows[page.name].of(site.name).failure = str(error)


def works(report: Report, page: Page, site: Site) -> bool:
    return not report.rows[page.name].of(site.name).failure


def one_round(report: Report, pages: list[Page], sites: list[Site], turn: int, *, is_writing: bool) -> None:
    """Every page once at every site, the sites taking turns; then once more for its SQL."""
    for page in pages:
        for site in sites if turn % 2 else reversed(sites):
            if works(report, page, site):
                ask(report.rows[page.name].of(site.name), page, site, turn)
    for deed in DEEDS if is_writing else ():
        for site in sites:
            write(report.rows[deed.name].of(site.name), deed, site, turn)


def ask(figures: Figures, page: Page, site: Site, turn: int) -> None:
    try:
        answer = page.get(site, turn)
        note_sql(figures, page.get(site, turn + 7, **{"X-Bench-SQL": "1"}))
    except Failed as error:
        figures.failure = str(error)
        return
    figures.took.append(answer.seconds * 1000)
    figures.kilobytes = len(answer.body) / 1024


def write(figures: Figures, deed: Deed, site: Site, turn: int) -> None:
    """Every other time with its SQL: it is not done twice for the sake of that."""
    asks_sql = {"X-Bench-SQL": "1"} if turn % 2 else {}
    answer = deed.do(site, turn, **asks_sql)
    figures.took.append(answer.seconds * 1000)
    if asks_sql:
        note_sql(figures, answer)


def note_sql(figures: Figures, answer: Answer) -> None:
    queries, milliseconds = answer.headers["X-Bench-SQL"].split()
    figures.queries = int(queries)
    figures.sql.append(float(milliseconds))
    took, sql = answer.headers["X-Bench-Slowest"].split(" ", 1) if figures.queries else ("0", "")
    figures.slowest = max(figures.slowest, (float(took), unquote(sql)))


# --- by eight at once ---


def at_once(report: Report, pages: list[Page], sites: list[Site], options: argparse.Namespace) -> None:
    """Some pages by themselves for a few seconds, then all of them together."""
    for site in sites:
        working = [page for page in pages if works(report, page, site)]
        for page in (page for page in working if page.is_loaded):
            count, seconds, failures = loaded(site, [page], max(1.0, options.seconds / 20))
            report.rows[page.name].of(site.name).per_second = 0.0 if failures else count / seconds
        count, seconds, failures = loaded(
            site, [page for page in working if not page.is_search], options.seconds
        )
        errors = f"**{len(failures)} errors**, the first: {failures[0]}" if failures else "no error"
        said = f"{count:,} answers in {seconds:.0f} s, {count / seconds:.0f} a second, {errors}"
        report.load[site.name] = said


def loaded(site: Site, pages: list[Page], seconds: float) -> tuple[int, float, list[str]]:
    """Eight clients ask for the pages in turn: how many answers, in how many seconds, and what failed."""
    counts, failures = [0] * CLIENTS, list[str]()
    began = time.perf_counter()

    def client(number: int) -> None:
        browsers = {page.who: site.browser_like(page.who) for page in pages}
        turn = number
        while time.perf_counter() - began < seconds:
            page = pages[turn % len(pages)]
            try:
                page.get(site, number * 5 + turn, browsers[page.who])
                counts[number] += 1
            except (Failed, OSError) as error:
                failures.append(f"{page.name}: {str(error)[:200]}")
            turn += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - began, failures


# --- mails and the sweep, each in a process of its own ---


def mails(site: Site, folder: Path, is_short: bool) -> dict:
    """Mails in, and mails out to a server on loopback."""
    count = "50" if is_short else "300"
    with outbox.server("tests.smtp_sink", folder / f"mails-{site.name}") as port:
        return json.loads(python(site.env, "-m", "bench.scale_inside", "mails", count, str(port)))


def sweeps(server: Server, folder: Path, options: argparse.Namespace):
    """A sweep with nothing due, and with a thousand and ten thousand, each on a fresh copy of its database."""
    for size in ("1k", "10k") if options.short else OPEN:
        name, scratch = f"scale_open_{size}", "scale_scratch"
        env = environment(server, name, folder)
        people = ("--organisations", "200", "--people", "1000", "--open", "80")
        is_new = prepare(server, name, env, "--incidents", str(OPEN[size]), *people)
        for due in (0, 1_000) if options.short else (0, 1_000, 10_000):
            if due <= OPEN[size] * 0.25:  # of the others nothing is promised by a date
                server.copy(scratch, name)
                env = environment(server, scratch, folder)
                yield json.loads(python(env, "-m", "bench.scale_inside", "sweep", str(due)))
        server.drop(scratch)
        if is_new and not options.keep:
            server.drop(name)


if __name__ == "__main__":
    main()
