"""A passkey in a real Chromium with its virtual authenticator, on a site where staff must have a second factor."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest
from playwright.sync_api import sync_playwright

from tests.journeys.test_browser import PASSWORD, QUIET, ROOT, serious, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """`manage.py run` with its demo, as localhost: an address of numbers can have no passkey."""
    folder = tmp_path_factory.mktemp("site")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://localhost:{port}"
    environment = os.environ | {
        "DEBUG": "true",
        "VAR_DIR": str(folder),
        "PORT": str(port),
        "SITE_URL": base,
        "STAFF_SECOND_FACTOR": "true",
    }
    environment.pop("DATABASE_URL", None)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield base
        server.terminate()
        server.wait(20)


@pytest.fixture
def page(site):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        context = chromium.new_context(base_url=site, viewport={"width": 390, "height": 844})
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        yield page
        chromium.close()


def test_staff_are_made_to_set_up_a_passkey_and_sign_in_with_it_ever_after(page):
    troubles = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto("/admin/")
    page.fill("input[name=login]", "deniz@briqmind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/accounts/2fa/")
    assert "needs a second factor before you can go on" in page.inner_text("main")
    page.goto("/incidents/")
    assert page.url.endswith("/accounts/2fa/")
    assert fits(page)

    page.get_by_role("link", name="Add a passkey").click()
    assert fits(page)
    page.fill("input[name=name]", "the desk's computer")
    page.get_by_role("button", name="Make the passkey").click()
    page.wait_for_url("**/accounts/2fa/recovery-codes/")
    assert page.locator(".codes li").count() == 10
    assert fits(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download them").click()
    codes = download.value.path().read_text().split()
    assert codes == page.locator(".codes li").all_inner_texts()
    page.get_by_role("link", name="I have kept them; go on").click()
    page.wait_for_url("**/incidents/")

    page.goto("/accounts/2fa/")
    assert "the desk's computer" in page.inner_text("main")
    assert fits(page)
    page.goto("/accounts/sessions/")
    assert "this one" in page.inner_text("main")
    page.get_by_role("button", name="Sign out", exact=True).last.click()
    page.wait_for_url("**/accounts/login/**")
    assert fits(page)

    page.goto("/accounts/login/?next=/admin/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")
    assert troubles == []


def fits(page) -> bool:
    assert serious(page) == [], page.url
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
