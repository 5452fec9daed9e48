"""The house stays as it was drawn: one-way imports, its top level, no addresses of anybody's machine."""

import re
import subprocess
import sys
from pathlib import Path

from django.apps import apps
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = re.compile(
    "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs", "/" + "work/main"])
)


def tracked():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in names.stdout.split("\n") if name]


def test_imports_run_one_way():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "0 broken" in done.stdout, done.stdout


def test_the_top_level_is_the_one_asked_for():
    names = "manage.py pyproject.toml README.md portal incidents maintenance templates static tests"
    assert [name for name in names.split() if not (ROOT / name).exists()] == []


def test_exactly_three_apps_are_ours():
    ours = [config.name for config in apps.get_app_configs() if Path(config.path).parent == ROOT]
    assert sorted(ours) == ["incidents", "maintenance", "portal"]


def test_migrations_are_complete(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_no_file_names_a_registry_or_a_machine():
    found = []
    for path in tracked():
        if path.suffix in {".png", ".svg"} or not path.exists():
            continue
        if FORBIDDEN.search(path.read_text(encoding="utf-8", errors="replace")):
            found.append(path.name)
    assert found == []
