"""The second half of the requirements: none left out, none without a verdict, none met without a place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from portal import settings as own
from portal import tokens

ROOT = Path(__file__).resolve().parents[1]
# Levels 1 and 2 of chapters 9 to 17: how many each section has, in order (level 3 counted where it stands between).
SECTIONS = {
    "V9.1": 3, "V9.2": 4, "V10.1": 2, "V10.2": 2, "V10.3": 4, "V10.4": 11, "V10.5": 5, "V10.6": 2, "V10.7": 3,
    "V11.1": 2, "V11.2": 3, "V11.3": 3, "V11.4": 4, "V11.5": 1, "V11.6": 1, "V12.1": 3, "V12.2": 2, "V12.3": 4,
    "V13.1": 1, "V13.2": 5, "V13.3": 2, "V13.4": 5, "V14.1": 2, "V14.2": 4, "V14.3": 3, "V15.1": 3, "V15.2": 3,
    "V15.3": 7, "V16.1": 1, "V16.2": 5, "V16.3": 4, "V16.4": 3, "V16.5": 3, "V17.1": 1, "V17.2": 4, "V17.3": 2,
}  # fmt: skip
IDS = [f"{section}.{n}" for section, count in SECTIONS.items() for n in range(1, count + 1)]
VERDICTS = {"met", "partly", "not here", "not met"}
NAMED = re.compile(r"`[\w./-]+::[\w.]+`|`(?:docs/[\w.]+|SECURITY\.md)`")


def rows() -> list[list[str]]:
    lines = (ROOT / "docs/asvs_2.md").read_text().splitlines()
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines if re.match(r"\| V\d", line)]


def test_every_requirement_has_one_row():
    assert len(IDS) == 117
    assert [row[0] for row in rows()] == IDS


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_row_has_a_verdict_and_says_where(row):
    key, what, verdict, where = row
    assert verdict in VERDICTS, key
    assert 0 < len(what.split()) <= 12
    assert where
    if verdict == "met":
        assert NAMED.search(where)


def test_the_summary_counts_right():
    said = re.search(r"^Of (\d+): (\d+) met, (\d+) partly, (\d+) not here, (\d+) not met\.$",
                     (ROOT / "docs/asvs_2.md").read_text(), re.MULTILINE)  # fmt: skip
    verdicts = [row[2] for row in rows()]
    counted = [len(verdicts), *(verdicts.count(name) for name in ("met", "partly", "not here", "not met"))]
    assert [int(figure) for figure in said.groups()] == counted


def test_figures_of_the_inventory_are_the_code_s():
    text = (ROOT / "docs/security_2.md").read_text()
    hasher = PBKDF2PasswordHasher()
    assert not hasattr(own, "PASSWORD_HASHERS")  # so it is Django's first one
    assert f"{hasher.iterations:,} rounds" in text
    assert f"at most {tokens.MOST_DAYS} days" in text
    reads, writes = own.RATE_LIMITS["reads"][0], own.RATE_LIMITS["writes"][0]
    assert f"{reads:,} reads and {writes:,} writes a minute" in text
    assert f"`UPLOAD_MAX_BYTES` {own.UPLOAD_MAX_BYTES // 1024**2} MB" in text


def product() -> list[Path]:
    rooms = [ROOT / name for name in ("portal", "incidents", "maintenance")]
    return [path for room in rooms for path in sorted(room.rglob("*.py"))]


def test_no_weak_hash_in_the_product():
    weak = re.compile(r"\b(md5|sha1|random\.(random|choice|randint|getrandbits))\b", re.IGNORECASE)
    # A seeded history comes from dice that can be thrown again; it guards nothing.
    guarded = [path for path in product() if path.parent != ROOT / "incidents/bulk"]
    found = [(path.name, hit[0]) for path in guarded for hit in weak.finditer(path.read_text())]
    # The list of passwords that became known elsewhere is published under this digest; nothing is kept by it.
    assert found == [("passwords.py", "sha1")]


def test_no_view_mixes_where_a_parameter_came_from():
    mixing = re.compile(r"request\.(REQUEST|GET\s*\|\s*request\.POST)|\{\*\*request\.GET")
    assert [path.name for path in product() if mixing.search(path.read_text())] == []
