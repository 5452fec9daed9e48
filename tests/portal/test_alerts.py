"""The example alerts ask for figures that exist, and each leads to what is to be done."""

import re
from pathlib import Path

import pytest

from portal import metrics

ROOT = Path(__file__).resolve().parent.parent.parent
ALERTS = (ROOT / "deploy" / "alerts.yaml").read_text(encoding="utf-8")


def test_each_figure_that_an_alert_asks_for_exists():
    asked = set(re.findall(r"\bportal_\w+", ALERTS))
    times = {"portal_request_seconds_bucket", "portal_request_seconds_count"}
    assert asked
    assert asked - times <= set(metrics._gauges)


@pytest.mark.parametrize("name", re.findall(r"alert: (\w+)", ALERTS))
def test_each_alert_has_its_section_in_the_runbook(name):
    assert f"#{name.lower()}\n" in ALERTS
    assert f"### {name}\n" in (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
