"""The whole product with its clock moved: `manage.py run`, real HTTP, the real worker, a real SMTP server.

What the journeys check in one process is seen here from outside: a P1 is filed and worked on by API tokens,
its mails are read as the mail server got them, and the worker dies in the middle of it.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.test_worker_kills import ROOT, engines, free_port

pytestmark = pytest.mark.faults
T0 = datetime(2027, 1, 12, 9, 0, tzinfo=UTC)  # a Tuesday, 12:00 in Istanbul


class Product:
    """`manage.py run` with its demo, moved, and a mail server of its own."""

    def __init__(self, folder: Path, engines: dict[str, str]) -> None:
        self.folder, self.inbox, self.clock = folder, folder / "inbox", folder / "clock"
        self.port, self.mail_port = free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.tokens: dict[str, str] = {}
        self.move(0)
        self.environment = (
            os.environ
            | {
                "DEBUG": "true",
                "VAR_DIR": str(folder / "var"),
                "PORT": str(self.port),
                "EMAIL_URL": f"smtp://127.0.0.1:{self.mail_port}",
                "MOVED_CLOCK": str(self.clock),
                "PYTHONPATH": str(ROOT / "tests" / "moved"),
                "OUTBOX_LEASE_SECONDS": "3",
            }
            | engines
        )

    def __enter__(self) -> Product:
        sink = [
            sys.executable,
            "-m",
            "tests.smtp_sink",
            "--port",
            str(self.mail_port),
            "--dir",
            str(self.inbox),
        ]
        self.sink = subprocess.Popen(sink, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.sink.stdout.readline().strip() == b"ready"
        self.log = (self.folder / "log").open("wb")
        self.product = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
        )
        self.wait(lambda: self.status("/readyz") == 200, "it is not ready")
        return self

    def __exit__(self, *_error) -> None:
        self.product.terminate()
        self.product.wait(30)
        self.sink.kill()
        self.sink.wait()
        self.sink.stdout.close()
        self.log.close()

    # --- time ---

    def move(self, minutes: float) -> None:
        target = self.clock.with_suffix(".next")
        target.write_text((T0 + timedelta(minutes=minutes)).isoformat())
        target.rename(self.clock)
        time.sleep(0.1)  # every process looks fifty times a second

    def wait(self, condition, why: str, seconds: float = 120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{why}\n{(self.folder / 'log').read_text()[-3000:]}")

    # --- people ---

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.base + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def token(self, person: str) -> str:
        if person not in self.tokens:
            command = [sys.executable, "manage.py", "create_api_token", person]
            made = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, check=True)
            self.tokens[person] = made.stdout.decode().split()[-1]
        return self.tokens[person]

    def call(self, person: str, path: str, data=None):
        request = urllib.request.Request(
            f"{self.base}/api/v1/{path}",
            data=json.dumps(data).encode() if data is not None else None,
            headers={"Authorization": f"Bearer {self.token(person)}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode())
            raise

    def manage(self, *command: str) -> str:
        made = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
        )
        assert made.returncode == 0, (made.stdout + made.stderr).decode()
        return made.stdout.decode()

    # --- mails, as the server got them ---

    def mails(self, reference: str, to: str) -> list:
        found = []
        for path in self.inbox.glob("*.eml"):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if message["To"] == to and message["Subject"].startswith(f"[{reference}]"):
                found.append(message)
        return sorted(found, key=lambda message: message["Date"].datetime)

    def mail(self, reference: str, to: str, words: str):
        def found():
            return [m for m in self.mails(reference, to) if words in m.get_body(("plain",)).get_content()]

        return self.wait(found, f"no mail to {to} says {words!r}")[0]

    def clocks(self, reference: str, kind: str) -> list[dict]:
        read = self.call(ADA, f"incidents/{reference}/clocks/")
        return [clock for clock in read if clock["kind"] == kind]

    def child(self, name: str) -> int:
        """The process id of one of the supervisor's children."""
        children = Path(f"/proc/{self.product.pid}/task/{self.product.pid}/children").read_text().split()
        for pid in children:
            if name in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                return int(pid)
        raise AssertionError(f"no child runs {name}")


ADA, CAN = "ada@acme.example", "can@acme.example"  # manager and P1 contact; member
DENIZ, MERT, BRUNO = "deniz@briqmind.example", "mert@briqmind.example", "bruno@nordwind.example"


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moved")
    with engines(folder) as where, Product(folder, where) as running:
        yield running


def minute(text: str) -> float:
    return (datetime.fromisoformat(text) - T0).total_seconds() / 60


def file_p1(product, at: float) -> str:
    product.move(at)
    down = {"title": "API down", "claimed_level": "P1", "services": ["inference-api"]}
    return product.call(CAN, "incidents/", down)["reference"]


def test_a_p1_over_real_http_worker_and_mail(product):
    reference = file_p1(product, 0)
    receipt = product.mail(reference, CAN, "First response: by")
    assert receipt["Auto-Submitted"] == "auto-generated"
    assert receipt["X-Auto-Response-Suppress"] == "All"
    assert re.search(r"\+[0-9a-z]{32}@", receipt["Reply-To"])
    assert receipt.get_body(("html",)) is not None
    product.mail(reference, ADA, "First response: by")
    product.mail(reference, MERT, "API down")

    product.move(6)
    product.call(DENIZ, f"incidents/{reference}/level-validation/", {"level": "P1", "reason": "all is down"})
    told = (T0 + timedelta(minutes=36)).isoformat()
    product.call(
        DENIZ, f"incidents/{reference}/status-updates/", {"summary": "We see it.", "next_update_at": told}
    )
    update = product.mail(reference, CAN, "We see it.")
    assert update["Auto-Submitted"] is None
    assert "Deniz" in update["From"]
    assert 6 <= minute(product.clocks(reference, "first_response")[0]["met_at"]) < 6.5
    product.move(12)
    product.call(DENIZ, f"incidents/{reference}/intervention/", {})
    product.wait(
        lambda: [c["state"] for c in product.clocks(reference, "status_update")] == ["met", "running"],
        "the mail server's 250 did not count",
    )

    product.move(37)
    product.wait(
        lambda: (
            [c["state"] for c in product.clocks(reference, "status_update")] == ["met", "breached", "running"]
        ),
        "the missed interval was not breached",
    )
    assert minute(product.clocks(reference, "status_update")[1]["breached_at"]) == 36
    product.wait(
        lambda: any("Breached" in m["Subject"] for m in product.mails(reference, MERT)), "m1 was not told"
    )

    os.kill(product.child("worker"), signal.SIGKILL)  # in the middle of it
    product.move(50)
    told = (T0 + timedelta(minutes=80)).isoformat()
    product.call(
        DENIZ,
        f"incidents/{reference}/status-updates/",
        {"summary": "Failover running.", "next_update_at": told},
    )
    product.mail(reference, CAN, "Failover running.")
    product.wait(
        lambda: minute(product.call(CAN, f"incidents/{reference}/")["next_update_at"]) == 80,
        "the next update is not due as told",
    )

    product.move(75)
    product.call(DENIZ, f"incidents/{reference}/restoration/", {})
    product.move(100)
    product.call(
        DENIZ, f"incidents/{reference}/resolution/", {"cause": "A node died.", "remedy": "Replaced it."}
    )
    product.mail(reference, CAN, "A node died.")
    product.call(CAN, f"incidents/{reference}/confirmation/", {})
    assert product.call(CAN, f"incidents/{reference}/")["status"] == "closed"

    with pytest.raises(urllib.error.HTTPError) as refused:
        product.call(BRUNO, f"incidents/{reference}/")
    assert refused.value.code == 404
    assert product.mails(reference, BRUNO) == []
    ids = [message["Message-ID"] for message in product.mails(reference, CAN)]
    assert len(set(ids)) == len(ids)
    assert "0 differences" in product.manage("verify_clocks")


def test_six_hours_without_a_worker_change_no_verdict(product):
    start = 3 * 24 * 60
    reference = file_p1(product, start)
    product.mail(reference, CAN, "First response: by")
    product.move(start + 3)
    for name in ("worker", "beat"):
        os.kill(product.child(name), signal.SIGSTOP)
    product.move(start + 4.8)
    product.wait(lambda: product.status("/readyz") == 503, "readiness did not turn red within two minutes")
    assert product.status("/healthz") == 200
    product.move(start + 361)  # at 360 an interval ends: a sweep in that second leaves it to the next one
    for name in ("worker", "beat"):
        os.kill(product.child(name), signal.SIGCONT)

    def verdicts():
        found = {c["kind"]: c["breached_at"] for c in product.clocks(reference, "first_response")}
        found |= {c["kind"]: c["breached_at"] for c in product.clocks(reference, "target_action")}
        return all(found.values()) and {kind: minute(at) - start for kind, at in found.items()}

    assert product.wait(verdicts, "nothing breached") == {"first_response": 15, "target_action": 240}
    product.wait(
        lambda: (
            {"Breached: First response", "Breached: Intervention"}
            <= {m["Subject"].split("] ")[1].split(",")[0] for m in product.mails(reference, MERT)}
        ),
        "m1 did not hear of both breaches",
    )
    time.sleep(3)
    subjects = [m["Subject"].split("] ")[1].split(", due")[0] for m in product.mails(reference, MERT)]
    assert sorted(subjects) == sorted(set(subjects))  # one of each kind, and no warning that came too late
    assert not [s for s in subjects if "%" in s]
    product.wait(lambda: product.status("/readyz") == 200, "readiness did not turn green again")
    assert "0 differences" in product.manage("verify_clocks")
