"""Scenario 1a with real processes: nobody reacts, the mail server goes away, a pager takes over.

`manage.py run` with its clock moved, a real SMTP server that is killed and comes back, and a receiver of
webhooks in a process of its own.
"""

from __future__ import annotations

import collections
import json
import subprocess
import sys

import pytest

from tests.faults.test_moved_product import ADA, CAN, MERT, Product, file_p1, minute
from tests.faults.test_worker_kills import ROOT, engines, free_port

pytestmark = pytest.mark.faults
SELIN = "selin@briqmind.example"
PAGER = """
from portal.models import Endpoint
Endpoint.objects.update(is_active=False)
Endpoint.objects.create(name="Pager", url="URL")
"""


class PagedProduct(Product):
    """The product with a pager for the whole team."""

    def __enter__(self) -> PagedProduct:
        self.pager_port, self.pages = free_port(), self.folder / "pages"
        command = [sys.executable, "-m", "tests.webhook_sink", "--port", str(self.pager_port)]
        command += ["--dir", str(self.pages)]  # it verifies nothing: its own clock is not moved
        self.pager = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.pager.stdout.readline().strip() == b"ready"
        self.environment["WEBHOOK_ALLOWED_HOSTS"] = f"127.0.0.1:{self.pager_port}"
        super().__enter__()
        url = f"http://127.0.0.1:{self.pager_port}/team"
        self.manage("shell", "-c", PAGER.replace("URL", url))
        return self

    def __exit__(self, *_error) -> None:
        super().__exit__(*_error)
        self.pager.kill()
        self.pager.wait()
        self.pager.stdout.close()

    def paged(self, person: str, words: str) -> list[dict]:
        """What the pager was told for one person."""
        bodies = [json.loads(path.read_text())["body"]["data"] for path in self.pages.glob("*.json")]
        return [b for b in bodies if b["person"]["email"] == person and words in b["subject"]]

    def kill_mail_server(self) -> None:
        self.sink.kill()
        self.sink.wait()
        self.sink.stdout.close()

    def start_mail_server(self) -> None:
        command = [sys.executable, "-m", "tests.smtp_sink", "--port", str(self.mail_port)]
        self.sink = subprocess.Popen([*command, "--dir", str(self.inbox)], cwd=ROOT, stdout=subprocess.PIPE)
        assert self.sink.stdout.readline().strip() == b"ready"


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nobody")
    with engines(folder) as where, PagedProduct(folder, where) as running:
        yield running


def test_nobody_reacts_and_the_mail_server_is_away(product):
    reference = file_p1(product, 0)
    product.mail(reference, CAN, "First response: by")
    product.wait(lambda: product.paged(MERT, "") or product.paged("deniz@briqmind.example", "")
                 or product.paged("elif@briqmind.example", ""), "on call was not paged")  # fmt: skip

    product.kill_mail_server()
    product.move(12.1)
    product.wait(lambda: product.paged(MERT, "First response due by"), "m1 was not warned by the pager")
    product.move(15.1)
    product.wait(lambda: product.paged(MERT, "Breached: First response"), "m1 was not paged at the breach")
    assert product.mails(reference, MERT)[-1]["Subject"].count("Breached") == 0  # no mail got through

    product.start_mail_server()
    product.move(29)
    honest = product.mail(reference, CAN, "No engineer has answered yet.")
    assert "Late: First response" in honest["Subject"]
    assert "Mert" in honest.get_body(("plain",)).get_content()
    product.wait(
        lambda: any("Breached: First response" in m["Subject"] for m in product.mails(reference, MERT)),
        "the mails did not follow",
    )
    for person in (CAN, ADA, MERT):
        ids = collections.Counter(mail["Message-ID"] for mail in product.mails(reference, person))
        assert set(ids.values()) == {1}, person
    response = product.clocks(reference, "first_response")[0]
    assert minute(response["breached_at"]) - minute(response["started_at"]) == 15

    product.move(241)
    product.wait(lambda: product.paged(SELIN, "Breached: Intervention"), "the head of support was not paged")
    assert product.call(CAN, f"incidents/{reference}/")["is_major"] is True
    product.call(MERT, f"incidents/{reference}/intervention/", {})
    product.call(MERT, f"incidents/{reference}/status-updates/", {"summary": "A disk is full; we move it."})
    product.mail(reference, CAN, "A disk is full")
    before = len(product.paged(SELIN, "Breached: Intervention"))
    product.move(275)
    product.wait(lambda: product.status("/readyz") == 200, "the clockwork did not catch up")
    assert len(product.paged(SELIN, "Breached: Intervention")) == before  # the repeats have stopped
    assert "0 differences" in product.manage("verify_clocks")
