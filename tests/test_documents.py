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
DOCUMENTS = ["docs/hardening.md", "SECURITY.md", "docs/asvs_2.md", "docs/security_2.md"]


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
