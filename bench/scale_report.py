"""The figures of a run as a page of Markdown: `bench/results/scale.md`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

GROWTH, TIMES_EMPTY = 1.3, 5


@dataclass
class Figures:
    """What one page took on one database. Times in milliseconds, each the whole answer's as a client saw it."""

    took: list[float] = field(default_factory=list)
    sql: list[float] = field(default_factory=list)
    queries: int = 0
    slowest: tuple[float, str] = (0.0, "")
    per_second: float = 0.0
    kilobytes: float = 0.0
    failure: str = ""

    @property
    def p50(self) -> float:
        return median(self.took) if self.took else 0.0

    @property
    def p95(self) -> float:
        ordered = sorted(self.took)
        return ordered[int(len(ordered) * 0.95)] if ordered else 0.0

    @property
    def sql_ms(self) -> float:
        return median(self.sql) if self.sql else 0.0


@dataclass
class Row:
    """One page or deed: the empty page beside it, and its figures by database, smallest first."""

    name: str
    base: str
    is_search: bool = False
    figures: dict[str, Figures] = field(default_factory=dict)

    def of(self, size: str) -> Figures:
        return self.figures.setdefault(size, Figures())


@dataclass
class Report:
    sizes: list[str]
    rows: dict[str, Row]
    lines: list[str] = field(default_factory=list)  # how and where it ran
    memory: dict[str, list[float]] = field(
        default_factory=dict
    )  # MB by database: at start, after pages, after load
    load: dict[str, str] = field(default_factory=dict)
    mails: dict[str, dict] = field(default_factory=dict)
    sweeps: list[dict] = field(default_factory=list)

    def text(self) -> str:
        parts = [
            ["# Pages at scale", "", *self.lines, ""],
            self.growth(),
            *(self.one_size(size) for size in self.sizes),
            self.misses(),
            self.others(),
        ]
        return "\n".join(line for part in parts for line in part).rstrip() + "\n"

    # --- pages ---

    def grown(self, row: Row) -> float:
        smallest, largest = row.of(self.sizes[0]).p50, row.of(self.sizes[-1]).p50
        return largest / smallest if smallest else 0.0

    def allowed(self, row: Row, size: str) -> float:
        """Five times the empty page, and the page's SQL."""
        return TIMES_EMPTY * self.rows[row.base].of(size).p50 + row.of(size).sql_ms

    def growth(self) -> list[str]:
        first, last = self.sizes[0], self.sizes[-1]
        head = ["page", *(f"p50 {size}" for size in self.sizes), f"growth {first}→{last}", "within"]
        rows = []
        for row in self.rows.values():
            grown = self.grown(row)
            within = "search" if row.is_search else "yes" if 0 < grown <= GROWTH else "**no**"
            rows.append(
                [row.name, *(number(row.of(size).p50) for size in self.sizes), f"{grown:.2f}", within]
            )
        title = f"## Growth (at most {GROWTH} ×, search apart; milliseconds)"
        return [title, "", *table(head, rows), ""]

    def one_size(self, size: str) -> list[str]:
        head = [
            "page",
            "p50",
            "p95",
            "× empty",
            "SQL ms",
            "queries",
            "of 5 × empty + SQL",
            "kB",
            "a second, 8 at once",
        ]
        rows = []
        for row in self.rows.values():
            found, empty = row.of(size), self.rows[row.base].of(size).p50
            rows.append(
                [
                    row.name, number(found.p50), number(found.p95), f"{found.p50 / empty:.1f}" if empty else "",
                    number(found.sql_ms), str(found.queries or ""), self.share(row, size),
                    f"{found.kilobytes:.0f}", f"{found.per_second:.0f}" if found.per_second else "",
                ]
            )  # fmt: skip
        return [f"## {size} incidents", "", *table(head, rows), ""]

    def share(self, row: Row, size: str) -> str:
        allowed = self.allowed(row, size)
        if row.name == row.base or not allowed:
            return ""
        share = row.of(size).p50 / allowed
        return f"{share:.2f}" if share <= 1 else f"**{share:.2f}**"

    def misses(self) -> list[str]:
        """Of each page that misses a limit at the largest size: the statement that takes longest."""
        last, lines = self.sizes[-1], []
        for row in self.rows.values():
            found = row.of(last)
            is_grown = self.grown(row) > GROWTH and not row.is_search
            if found.failure:
                lines += [f"- **{row.name}**: no answer within ten seconds of one statement, or an error", ""]
            if found.took and (is_grown or found.p50 > self.allowed(row, last)) and row.name != row.base:
                took, sql = found.slowest
                lines += [
                    f"- **{row.name}**: {found.p50:.0f} ms; slowest statement {took:.1f} ms",
                    "",
                    f"      {sql}",
                    "",
                ]
        return [f"## Misses at {last}, each with its slowest statement", "", *(lines or ["None.", ""])]

    # --- the rest ---

    def others(self) -> list[str]:
        parts: list[str] = []
        if self.memory:
            head = ["database", "at start", "after the pages", "after the load"]
            rows = [
                [size, *(f"{megabytes:.0f}" for megabytes in found)] for size, found in self.memory.items()
            ]
            parts += ["## Memory of the web server (MB resident)", "", *table(head, rows), ""]
        if self.load:
            parts += [
                "## All pages, eight at once",
                "",
                *(f"- {size}: {said}" for size, said in self.load.items()),
                "",
            ]
        if self.mails:
            head = ["database", "mail in: p50 ms", "p95 ms", "mails out", "a second"]
            rows = [
                [
                    size,
                    number(found["in"]["p50"]),
                    number(found["in"]["p95"]),
                    str(found["out"]),
                    f"{found['out_a_second']:.0f}",
                ]
                for size, found in self.mails.items()
            ]
            parts += ["## Mails, by one process", "", *table(head, rows), ""]
        return parts + (self._sweeps() if self.sweeps else [])

    def _sweeps(self) -> list[str]:
        head = ["open", "due", "milliseconds", "each due one"]
        rows = [
            [
                f"{found['open']:,}", f"{found['due']:,}", number(found["milliseconds"]),
                number(found["milliseconds"] / found["due"]) if found["due"] else "",
            ]
            for found in self.sweeps
        ]  # fmt: skip
        return ["## One sweep of the clocks", "", *table(head, rows), ""]


def number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]
