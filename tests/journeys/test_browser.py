"""The product in a real Chromium: file, answer, resolve, confirm; axe on every page; keyboard and no script."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "briqmind-demo"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MONTH = f"{datetime.now(UTC):%Y-%m}"  # the demo is of today
CUSTOMER_PAGES = [
    "/", "/incidents/", "/incidents/?q=nothing", "/incidents/new/", "/incidents/INC-1006/", "/incidents/INC-1006/withdrawal/",
    "/incidents/INC-1006/escalation/", "/incidents/INC-1006/bridge/", "/channels/", "/channels/new/?use=channel",
    "/channels/new/?use=webhooks", "/channels/format/",
    "/audit/",
    "/sla/", "/status/", "/maintenance/", "/maintenance/MW-3/", "/maintenance/MW-1/",
    "/maintenance/MW-1/rca/", "/maintenance/freezes/", "/maintenance/calendar/", "/status/inference-api/",
    "/announcements/", "/announcements/2/", "/reports/", f"/reports/{MONTH}/", "/knowledge/", "/knowledge/rate-limits/", "/profile/",
    "/accounts/2fa/", "/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/", "/accounts/sessions/", "/accounts/email/",
    "/accounts/password/change/", "/accounts/reauthenticate/", "/profile/data/", "/nowhere/",
]  # fmt: skip
STAFF_PAGES = [
    "/admin/incidents/incident/6/change/", "/admin/incidents/incident/6/do/validate_level/", "/admin/incidents/incident/add/",
    "/admin/", "/admin/incidents/incident/", "/admin/portal/outboxmessage/", "/admin/incidents/article/",
    "/admin/incidents/slapolicyversion/", "/admin/portal/organisation/", "/admin/portal/user/",
    "/admin/incidents/incident/4/change/", "/admin/incidents/shift/", "/admin/incidents/communicationplan/",
    "/admin/incidents/communicationplan/1/change/",
    "/admin/maintenance/maintenancewindow/", "/admin/maintenance/maintenancewindow/add/",
    "/admin/maintenance/maintenancewindow/1/change/", "/admin/maintenance/maintenancewindow/3/change/",
    "/admin/maintenance/maintenancewindow/3/do/move_window/", "/admin/maintenance/freeze/",
    "/admin/incidents/rca/", "/admin/incidents/rca/1/change/", "/admin/portal/announcement/",
    f"/reports/all/{MONTH}/", "/admin/portal/endpoint/", "/admin/incidents/inboundmessage/",
    "/incidents/INC-1006/bridge/", "/admin/incidents/attachment/",
]  # fmt: skip
MANAGER_PAGES = [
    "/admin/", "/admin/incidents/shift/", "/admin/incidents/shift/add/", "/admin/incidents/shift/5/hand-over/",
    "/admin/incidents/incident/6/do/declare_major/", "/admin/incidents/communicationplan/1/change/",
    "/admin/incidents/slapolicyversion/move/",
    "/admin/incidents/communicationplan/1/change/#rules", "/admin/incidents/communicationplan/1/change/#steps",
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """`manage.py run` with its demo, on a free port and data of its own."""
    folder = tmp_path_factory.mktemp("site")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"DEBUG": "true", "VAR_DIR": str(folder), "PORT": str(port)}
    environment.pop("DATABASE_URL", None)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        base = f"http://127.0.0.1:{port}"
        try:
            wait_for(base + "/readyz")
            yield base
        finally:
            server.terminate()
            server.wait(20)


def wait_for(url: str) -> None:
    for _ in range(480):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} never answered")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield chromium
        chromium.close()


def page_of(browser, site, email, **options):
    page = browser.new_context(base_url=site, **options).new_page()
    page.goto("/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[type=password]", PASSWORD)
    page.locator("form:has(input[type=password]) button[type=submit]").click()
    page.wait_for_url(lambda url: "login" not in url)
    return page


def serious(page):
    found = Axe().run(page).response["violations"]
    return [(v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(browser, site, scheme):
    for email, addresses in (
        ("ada@acme.example", CUSTOMER_PAGES),
        ("deniz@briqmind.example", STAFF_PAGES),
        ("selin@briqmind.example", MANAGER_PAGES),
    ):
        page = page_of(browser, site, email, color_scheme=scheme, viewport={"width": 390, "height": 844})
        for address in addresses:
            page.goto(address)
            assert serious(page) == [], address
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, (address, wide)
        page.context.close()


def test_a_customer_files_and_staff_answer_resolve_and_the_customer_confirms(browser, site):
    customer = page_of(browser, site, "can@acme.example")
    customer.goto("/incidents/new/")
    customer.fill("input[name=title]", "Model Studio shows <b>nothing</b>")
    customer.check("input[name=claimed_level][value=P1]")
    customer.get_by_role("button", name="Send the report").click()
    customer.wait_for_url("**/incidents/INC-*/")
    reference = customer.url.rstrip("/").split("/")[-1]
    assert "is filed" in customer.inner_text("main")
    assert customer.locator("h1 b").count() == 0

    staff = page_of(browser, site, "elif@briqmind.example")
    desk = f"/admin/incidents/incident/{int(reference[4:]) - 1000}/change/"
    staff.goto(desk)
    staff.get_by_role("link", name="Validate the level").click()
    staff.locator("dialog textarea[name=reason]").fill("Nothing loads.")
    staff.locator("dialog button[type=submit]").first.click()
    staff.wait_for_url("**" + desk)
    staff.locator("details").filter(has=staff.get_by_text("Status update", exact=True)).locator(
        "summary"
    ).click()
    form = staff.locator("form[action$='publish_status_update/']")
    form.locator("textarea[name=summary]").fill("We see it and are restarting the studio.")
    form.get_by_role("button", name="Preview the mail").click()
    assert f"[{reference}]" in staff.inner_text(".mail-preview")
    staff.get_by_role("button", name="Publish").click()
    staff.wait_for_url("**" + desk)
    staff.get_by_role("link", name="Resolve", exact=True).click()
    staff.locator("dialog textarea[name=cause]").fill("A stuck deployment.")
    staff.locator("dialog textarea[name=remedy]").fill("Rolled back.")
    staff.locator("dialog button[type=submit]").first.click()
    staff.wait_for_url("**" + desk)

    customer.reload()
    assert "We see it and are restarting the studio." in customer.inner_text("main")
    customer.get_by_role("button", name="Confirm that it is solved").click()
    assert "Thank you" in customer.inner_text("main")


def test_a_bridge_from_opening_to_summary_and_the_customer_sees_no_side_note(browser, site):
    """Two sides in two browsers; every byte that the customer's gets is kept and looked through."""
    customer = page_of(browser, site, "ada@acme.example")
    staff = page_of(browser, site, "deniz@briqmind.example")
    heard = []

    def keep(route):
        answer = route.fetch(max_redirects=0)
        heard.append(answer.body())
        route.fulfill(response=answer)

    customer.route("**/*", keep)
    customer.goto("/incidents/INC-1006/bridge/")
    customer.get_by_role("button", name="Open the live bridge").click()
    customer.get_by_role("button", name="Leave the bridge").or_(
        customer.get_by_role("button", name="Join the bridge")
    ).wait_for()
    if customer.get_by_role("button", name="Join the bridge").count():
        customer.get_by_role("button", name="Join the bridge").click()
    assert "Customer's lead" in customer.inner_text("#bridge-people")

    staff.goto("/incidents/INC-1006/bridge/")
    staff.get_by_role("button", name="Join the bridge").click()
    staff.get_by_role("button", name="Leave the bridge").wait_for()
    customer.locator("#bridge-people", has_text="Deniz Kaya").wait_for(timeout=20_000)  # without a reload

    customer.locator("form[action$='/bridge/notes/'] textarea").fill("half a thought")
    say(staff, "notes", "We drain **node 2** now.")
    customer.locator("#bridge-timeline", has_text="We drain node 2 now.").wait_for(timeout=20_000)
    assert customer.locator("form[action$='/bridge/notes/'] textarea").input_value() == "half a thought"
    staff.locator("#write-side-note summary").click()
    say(staff, "side-notes", "Sidenote-7391: their disk is full")
    assert "Sidenote-7391" in staff.inner_text("#bridge-timeline")
    say(customer, "notes", "Payments <b>fail</b> in Izmir.")
    staff.locator("#bridge-timeline", has_text="Payments <b>fail</b> in Izmir.").wait_for(timeout=20_000)

    staff.locator("#write-decision summary").click()
    say(staff, "decisions", "Fail over to the second region.")
    staff.locator("#write-step summary").click()
    step = staff.locator("form[action$='/bridge/steps/']")
    step.locator("input[name=text]").fill("Watch the error rate")
    step.locator("select[name=owner]").select_option(label="Deniz Kaya")
    due = staff.evaluate("new Date(Date.now() + 26 * 3600e3).toISOString().slice(0, 16)")
    step.locator("input[name=due_at]").fill(due)
    step.get_by_role("button").click()
    customer.locator("#bridge-steps", has_text="Watch the error rate").wait_for(timeout=20_000)
    assert "Fail over to the second region." in customer.inner_text("#bridge-steps")
    for page in (customer, staff):
        assert serious(page) == []

    staff.get_by_role("link", name="Close the bridge with a summary").click()
    draft = staff.locator("textarea[name=summary]").input_value()
    assert "Fail over to the second region." in draft
    assert "Watch the error rate" in draft
    assert "Sidenote-7391" not in draft
    staff.get_by_role("button", name="Close the bridge and send the summary").click()
    customer.locator("#bridge-notice a").wait_for(timeout=20_000)  # the open page says that it is closed
    customer.goto("/incidents/INC-1006/")
    assert "Watch the error rate" in customer.inner_text("main")
    kept = b"".join(heard)
    assert b"node 2" in kept
    assert b"Sidenote-7391" not in kept
    staff.goto("/admin/incidents/incident/6/change/")
    assert "Sidenote-7391" in staff.inner_text("main")


def say(page, noun, words):
    form = page.locator(f"form[action$='/bridge/{noun}/']")
    form.locator("textarea").fill(words)
    form.get_by_role("button").click()
    page.wait_for_load_state("networkidle")
    assert form.locator("textarea").input_value() == ""  # what was sent is no draft any more


def test_a_shift_is_swapped_with_its_backup_in_two_clicks(browser, site):
    page = page_of(browser, site, "mert@briqmind.example")
    page.goto("/admin/incidents/shift/")
    row = page.locator(".desk-rota table").first.locator("tbody tr").first
    before = row.locator("td").all_inner_texts()
    row.get_by_role("link", name="Swap with backup").click()
    page.get_by_role("button", name="Hand it over").click()
    page.wait_for_url("**/admin/incidents/shift/")
    after = page.locator(".desk-rota table").first.locator("tbody tr").first.locator("td").all_inner_texts()
    assert (after[2], before[2]) == (before[3].strip(), after[3].strip())


def test_reading_and_replying_work_without_javascript(browser, site):
    page = page_of(browser, site, "can@acme.example", java_script_enabled=False)
    page.goto("/incidents/INC-1006/")
    page.fill("textarea[name=text]", "Written without a script.")
    page.get_by_role("button", name="Send to the engineers").click()
    assert "Written without a script." in page.inner_text("main")


def test_nothing_leaves_the_machine_and_no_script_is_refused(browser, site):
    page = page_of(browser, site, "ada@acme.example")
    troubles = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("request", lambda r: troubles.append(r.url) if not r.url.startswith((site, "data:")) else None)
    for address in CUSTOMER_PAGES[:-1]:
        page.goto(address)
    assert troubles == []


def watched(page):
    """What must not happen on a page: a dialog, a script that the policy refused, an error of a script."""
    troubles = []
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    return troubles


def test_hostile_words_are_inert_on_every_page(browser, site, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    file = tmp_path / "<img src=x onerror=alert(2)>.txt"
    file.write_text("one line")
    customer = page_of(browser, site, "can@acme.example")
    troubles = watched(customer)
    customer.goto("/incidents/new/")
    customer.fill("input[name=title]", f"{evil} down")
    customer.check("input[name=claimed_level][value=P3]")
    customer.fill("textarea[name=description]", f"{evil} <svg onload=alert(3)> [x](javascript:alert(4))")
    customer.set_input_files("input[type=file]", file)
    customer.get_by_role("button", name="Send the report").click()
    customer.wait_for_url("**/incidents/INC-*/")
    reference = customer.url.rstrip("/").split("/")[-1]
    assert evil in customer.inner_text("h1")
    assert evil in customer.title()
    number = int(reference[4:]) - 1000
    for address in (
        "/",
        "/incidents/",
        "/incidents/?q=onerror",
        f"/incidents/{reference}/withdrawal/",
        "/status/",
    ):
        customer.goto(address)
    staff = page_of(browser, site, "selin@briqmind.example")
    troubles_of_staff = watched(staff)
    for address in (
        "/admin/", "/admin/incidents/incident/", f"/admin/incidents/incident/{number}/change/",
        f"/admin/incidents/incident/{number}/do/validate_level/", "/admin/portal/outboxmessage/?q=onerror",
    ):  # fmt: skip
        staff.goto(address)
    assert (troubles, troubles_of_staff) == ([], [])


def test_no_script_of_the_desk_is_refused(browser, site):
    page = page_of(browser, site, "selin@briqmind.example")
    troubles = watched(page)
    for address in STAFF_PAGES:
        page.goto(address)
    assert troubles == []


def test_a_report_is_filed_and_answered_by_keyboard_alone(browser, site):
    page = page_of(browser, site, "can@acme.example")
    page.goto("/incidents/new/")
    walk_to(page, "title")
    page.keyboard.type("Filed without a mouse")
    walk_to(page, "claimed_level")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # P3: the third card
    walk_to(page, "description")
    page.keyboard.type("Only keys.")
    press_button(page, "Send the report")
    page.wait_for_url("**/incidents/INC-*/")
    assert "Filed without a mouse" in page.inner_text("h1")
    walk_to(page, "text")
    page.keyboard.type("More by keys.")
    press_button(page, "Send to the engineers")
    page.wait_for_load_state("networkidle")
    assert "More by keys." in page.inner_text("main")
    assert page.locator("#compose textarea[name=text]").input_value() == ""  # no draft any more


def walk_to(page, name):
    """Tab until the field of that name has the focus, and see that the focus is visible on the way."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == name:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            shadow = page.evaluate("getComputedStyle(document.activeElement).boxShadow")
            assert outline != "none" or shadow != "none"
            return
    raise AssertionError(f"no Tab leads to {name}")


def press_button(page, words):
    for _ in range(60):
        page.keyboard.press("Tab")
        if words in page.evaluate("document.activeElement.innerText || ''"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"no Tab leads to the button {words!r}")
