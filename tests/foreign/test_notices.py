"""The network industry's own parser reads every notice of a window's life as a valid one."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest
from django.conf import settings

from maintenance import ical
from maintenance.models import WindowService
from portal.models import Service
from tests.conftest import T0
from tests.maintenance import made, stories

pytestmark = pytest.mark.foreign

HERE = pathlib.Path(__file__).parent
PYTHON = os.environ.get("FOREIGN_PYTHON") or str(settings.BASE_DIR / ".venv-foreign" / "bin" / "python")


def read_by_others(folder: pathlib.Path, calendars: dict[str, str]) -> dict[str, dict]:
    assert pathlib.Path(PYTHON).exists(), "Run `make test-foreign`: it installs the other parser first."
    for name, text in calendars.items():
        (folder / f"{name}.ics").write_bytes(text.encode())
    command = [PYTHON, str(HERE / "read_notices.py"), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    read = json.loads(ran.stdout)
    assert set(read) == set(calendars)
    assert not [notice["error"] for notice in read.values() if "error" in notice]
    return read


def impact(name: str, felt: str) -> dict[str, str]:
    return {"circuit_id": name, "impact": felt}


@pytest.mark.parametrize(("zone", "start"), stories.STARTS)
def test_each_notice_of_a_life_is_valid(tmp_path, acme, a1, g1, g2, zone, start):
    a1.time_zone = zone
    a1.save()
    window, agreed = stories.moved_extended_closed(g1, g2, start)
    called_off = stories.cancelled(g1, g2, start.replace(year=start.year + 1))
    mailed = stories.calendars_mailed(a1, window.ended_at)
    read = read_by_others(tmp_path, {f"{number:02}": text for number, text in enumerate(mailed)})
    lives = {window.uid: [], called_off.uid: []}
    for notice in sorted(read.values(), key=lambda notice: notice["sequence"]):
        lives[notice["uid"]].append(notice)
        assert notice["provider"] == settings.MAIL_DOMAIN
        assert notice["account"] == "acme"
        assert notice["circuits"] == [impact("inference-api", "OUTAGE")]
        assert notice["organizer"].startswith("mailto:maintenance+")
    assert [
        (notice["sequence"], notice["start"], notice["end"], notice["status"]) for notice in lives[window.uid]
    ] == [
        (number, begin.timestamp(), end.timestamp(), status)
        for number, ((begin, end), status) in enumerate(
            zip(agreed, ["CONFIRMED"] * 3 + ["IN-PROCESS", "COMPLETED"], strict=True)
        )
    ]
    assert [(notice["sequence"], notice["status"]) for notice in lives[called_off.uid]] == [
        (0, "CONFIRMED"),
        (1, "CANCELLED"),
    ]
    assert {notice["maintenance_id"] for notice in lives[window.uid]} == {window.reference}


def test_each_service_has_its_own_impact(tmp_path, acme, a1, g1, g2):
    """Also where the title is as unkind as it can be."""
    title = 'Up\r\nX-MAINTNOTE-STATUS:CANCELLED, "now"; \\ 😀 ' + "é" * 100
    start = stories.STARTS[0][1]
    window = made.announced(
        g1,
        [acme],
        starts_at=start,
        ends_at=start + stories.HOUR,
        at=T0,
        title=title,
        impacts={"Inference API": "none"},
    )
    vectors = Service.objects.get(name="Vector Store")
    WindowService.objects.create(window=window, service=vectors, impact="reduced_redundancy")
    part = ical.part(window, person=a1, organisation=acme, method="REQUEST", now=T0)
    read = read_by_others(tmp_path, {"one": part.text, "feed": ical.feed(a1, T0)})
    for notice in read.values():
        assert notice["circuits"] == [
            impact("inference-api", "NO-IMPACT"),
            impact("vector-store", "REDUCED-REDUNDANCY"),
        ]
        assert notice["status"] == "CONFIRMED"
        assert " ".join(title.split()) in notice["summary"]
