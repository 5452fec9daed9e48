"""What an installation is told agrees with the code: variables, commands, queues, grace."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent.parent
READ = re.compile(r"""env(?:iron)?\.(?:str|bool|int|float|list|db|email|get)\(\s*["']([A-Z_]+)["']""")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
UNITS = {path.name: path.read_text() for path in (ROOT / "deploy" / "systemd").glob("*.service")}
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def names_read(*files: str) -> set[str]:
    return {name for file in files for name in READ.findall((ROOT / file).read_text())}


KNOWN = names_read("portal/settings.py", "portal/metrics.py", "deploy/gunicorn.conf.py")


def commands() -> list[list[str]]:
    of_units = [
        shlex.split(line.partition("=")[2])
        for text in UNITS.values()
        for line in text.splitlines()
        if line.startswith("ExecStart=")
    ]
    return [service["command"] for service in OURS.values()] + of_units


def test_the_table_of_settings_names_every_variable_that_is_read_and_no_other() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert len(table) == len(set(table))
    assert set(table) == KNOWN


def test_the_processes_of_a_web_server_share_their_figures_in_a_folder_of_each_start(tmp_path: Path) -> None:
    """In a process of its own, as gunicorn reads it; the second time is a reload, and the folder stays."""
    ask = (
        "import os, runpy\n"
        f"twice = [runpy.run_path({str(ROOT / 'deploy' / 'gunicorn.conf.py')!r}) and"
        " os.environ['PROMETHEUS_MULTIPROC_DIR'] for _ in range(2)]\n"
        "assert twice[0] == twice[1] and os.listdir(twice[0]) == []\n"
        "from prometheus_client import Histogram\n"
        "Histogram('x', 'x').observe(1)\n"
        "print(os.listdir(twice[0]))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env=environment | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "histogram_" in done.stdout, done.stderr


def test_every_variable_that_is_set_somewhere_is_read() -> None:
    said = {name for service in OURS.values() for name in service.get("environment", {})}
    example = (ROOT / "deploy" / "production.env.example").read_text()
    said |= set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    for text in UNITS.values():
        for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE):
            said |= {pair.partition("=")[0] for pair in line.split()}
    of_others = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PYTHONDONTWRITEBYTECODE"}
    assert said - of_others <= KNOWN


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_exists(command: list[str]) -> None:
    program, *arguments = command
    if program.endswith("python"):
        assert arguments[0] == "manage.py"
        assert arguments[1] in get_commands()
    elif program.startswith("/srv/support/deploy/"):
        assert (ROOT / program.removeprefix("/srv/support/")).exists()
    else:
        assert Path(program).name in ("gunicorn", "celery")
        assert "deploy/gunicorn.conf.py" in arguments or arguments[:2] == ["-A", "portal"]


def test_compose_and_units_serve_every_queue() -> None:
    queues = {queue.name for queue in settings.CELERY_TASK_QUEUES}
    served = [c[c.index("-Q") + 1] for c in commands() if "-Q" in c and "%i" not in c]
    assert sorted(served) == sorted(queues)
    target = (ROOT / "deploy" / "systemd" / "support.target").read_text()
    assert set(re.findall(r"support-worker@(\w+)\.service", target)) == queues


def test_who_stops_a_worker_waits_longer_than_it_takes() -> None:
    for name, service in OURS.items():
        assert int(service["stop_grace_period"].rstrip("s")) > settings_stop(
            service.get("environment", {})
        ), name
    worker = UNITS["support-worker@.service"]
    assert int(re.findall(r"TimeoutStopSec=(\d+)", worker)[0]) > 30
    assert "WORKER_STOP_SECONDS=30" in worker


def settings_stop(environment: dict[str, float]) -> float:
    return environment.get("WORKER_STOP_SECONDS", 30)


def test_all_processes_together_have_fewer_connections_than_the_database() -> None:
    """Each process has at most THREADS: web as many processes as WEB_WORKERS."""
    total = 0
    for service in OURS.values():
        environment = service.get("environment", {})
        processes = environment.get("WEB_WORKERS", 1) * service.get("deploy", {}).get("replicas", 1)
        total += processes * environment["THREADS"]
    command = COMPOSE["services"]["database"]["command"]
    most = next(int(word.partition("=")[2]) for word in command if word.startswith("max_connections="))
    assert total < most
