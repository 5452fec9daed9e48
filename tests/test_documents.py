"""What the documents name exists: every test, every file, every symbol."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(
    r"`((?:tests|portal|incidents|maintenance|bench|templates|static|docs)/[\w./-]+)(?:::([\w.]+))?`"
)
DOCUMENTS = [
    "SECURITY.md",
    "docs/asvs.md",
    "docs/asvs_1.md",
    "docs/asvs_2.md",
    "docs/hardening.md",
    "docs/security.md",
    "docs/security_2.md",
]


@cache
def names_of(path: Path) -> frozenset[str]:
    """Functions, classes, methods (as Class.method) and module-level names of a Python file."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return frozenset(found)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_names_exists(document):
    missing = []
    for path, name in NAMED.findall((ROOT / document).read_text()):
        file = ROOT / path
        if not file.exists() or (name and name not in names_of(file)):
            missing.append(f"{path}::{name}")
    assert missing == []


def test_every_attack_has_a_row_and_a_test():
    rows = re.findall(r"^\| ([A-Z]\d+) \|.*$", (ROOT / "docs/hardening.md").read_text(), re.MULTILINE)
    wanted = {
        "T": 9,
        "A": 3,
        "M": 10,
        "U": 1,
        "X": 1,
        "W": 2,
        "L": 1,
        "P": 2,
        "R": 2,
        "C": 2,
        "F": 5,
        "K": 1,
        "D": 1,
    }
    assert sorted(rows) == sorted(
        f"{group}{n}" for group, count in wanted.items() for n in range(1, count + 1)
    )
    for line in (ROOT / "docs/hardening.md").read_text().splitlines():
        if re.match(r"\| [A-Z]\d+ \|", line):
            assert "::test_" in line, line


# OWASP ASVS 5.0: how many requirements of level 1 and 2 each section of a chapter has; they come first in it.
ASVS = {
    "V1.1": 2,
    "V1.2": 9,
    "V1.3": 11,
    "V1.4": 3,
    "V1.5": 2,
    "V2.1": 3,
    "V2.2": 3,
    "V2.3": 4,
    "V2.4": 1,
    "V3.2": 2,
    "V3.3": 4,
    "V3.4": 6,
    "V3.5": 5,
    "V3.7": 2,
    "V4.1": 3,
    "V4.2": 1,
    "V4.3": 2,
    "V4.4": 4,
    "V5.1": 1,
    "V5.2": 3,
    "V5.3": 2,
    "V5.4": 3,
    "V6.1": 3,
    "V6.2": 12,
    "V6.3": 4,
    "V6.4": 4,
    "V6.5": 5,
    "V6.6": 3,
    "V6.8": 4,
    "V7.1": 3,
    "V7.2": 4,
    "V7.3": 2,
    "V7.4": 5,
    "V7.5": 2,
    "V7.6": 2,
    "V8.1": 2,
    "V8.2": 3,
    "V8.3": 1,
    "V8.4": 1,
}
VERDICTS = {"met", "partly", "not met", "not here"}


def test_every_requirement_of_asvs_has_one_row_with_a_verdict():
    text = (ROOT / "docs/asvs_1.md").read_text()
    rows = re.findall(r"^\| (V[\d.]+) \| (.+?) \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == [
        f"{name}.{n}" for name, count in ASVS.items() for n in range(1, count + 1)
    ]
    counts = dict.fromkeys(VERDICTS, 0)
    for number, words, verdict, where in rows:
        assert len(words.split()) <= 12, number
        assert verdict in VERDICTS, number
        counts[verdict] += 1
        if verdict == "met":
            assert NAMED.search(where), number
        if verdict in ("partly", "not met"):
            assert "Closing it: " in where or "closing it" in where, number
    said = re.search(r"^Of (\d+) requirements: (.+)\.$", text, re.MULTILINE)
    assert said
    assert {v: int(n) for n, v in re.findall(r"(\d+) ([a-z ]+)", said[2])} == {
        v: n for v, n in counts.items() if n
    }


def test_a_section_that_a_row_names_is_there():
    sections = set(re.findall(r"^## (.+)$", (ROOT / "docs/security.md").read_text(), re.MULTILINE))
    named = set(re.findall(r"`docs/security.md` “(.+?)”", (ROOT / "docs/asvs_1.md").read_text()))
    assert named
    assert named <= sections
