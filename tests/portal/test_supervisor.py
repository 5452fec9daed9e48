"""The supervisor with real processes: words with names, the dead come back, the end is the end of all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from portal.demo import DEMO_LOGINS, DEMO_PASSWORD
from portal.management.commands import run
from portal.supervisor import Child, Supervisor, ending

ROOT = Path(__file__).resolve().parent.parent.parent
SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
PARENT = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(p.pid, flush=True); p.wait()"
DEAF_PARENT = PARENT.replace(repr(SLEEP), repr(STUBBORN))


def python(name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code])


def until(true: Callable[[], Any], seconds: float = 5) -> Any:
    """What `true` answers as soon as it answers anything true."""
    ends = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)
    return answer


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ignores_sigterm(pid: int) -> bool:
    found = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(found and int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


# --- in this process: lines, and the pauses of the dead ---


@contextmanager
def supervised(*children: Child, **more: Any) -> Iterator[tuple[Supervisor, list[str]]]:
    said: list[str] = []
    supervisor = Supervisor(children, out=said.append, **more)
    try:
        yield supervisor, said
    finally:
        supervisor.grace = 0.0
        supervisor.end()


def dead(child: Child) -> None:
    assert child.process is not None
    child.process.wait(5)


def test_each_line_bears_the_name_of_its_process() -> None:
    loud = python(
        "web", "import sys; print('one'); print('büyük', file=sys.stderr); print(end='half a line')"
    )
    mute = python("clockwork", "print(); print('  tick  ')")
    with supervised(loud, mute) as (supervisor, said):
        supervisor.revive(0)
        until(lambda: len(said) == 5)
    web = ["web       | büyük", "web       | half a line", "web       | one"]
    assert sorted(said) == ["clockwork | ", "clockwork |   tick", *web]


def test_lines_of_two_processes_are_not_mixed() -> None:
    code = "import sys\nfor _ in range(400): print(sys.argv[0] + 'x' * 200, flush=True)"
    with supervised(python("a", code), python("b", code)) as (supervisor, said):
        supervisor.revive(0)
        until(lambda: len(said) == 800)
    assert {line[4:] for line in said} == {"-c" + "x" * 200}


def test_a_line_without_end_comes_in_pieces_and_bytes_that_are_no_text_do_no_harm() -> None:
    code = "import sys; sys.stdout.buffer.write(b'x' * 200_000 + b'\\xff\\xfe')"
    with supervised(python("web", code)) as (supervisor, said):
        supervisor.revive(0)
        until(lambda: sum(len(line) - 6 for line in said) == 200_002)
    assert all(line.startswith("web | x") and len(line) < 70_000 for line in said)
    assert said[-1].endswith("\ufffd\ufffd")


def test_last_words_are_heard() -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: (print('bye'), sys.exit()))\nprint('up', flush=True)\ntime.sleep(60)"
    with supervised(python("web", code)) as (supervisor, said):
        supervisor.revive(0)
        until(lambda: said)
        supervisor.end()
    assert said == ["web | up", "web | bye"]


def test_when_nobody_reads_any_more_the_children_are_drained_all_the_same(tmp_path: Path) -> None:
    def closed(line: str) -> None:
        raise BrokenPipeError

    mark = tmp_path / "written"
    code = f"print('x' * 1_000_000, flush=True); open({str(mark)!r}, 'w')"
    supervisor = Supervisor([python("web", code)], out=closed)
    supervisor.revive(0)
    until(mark.exists)
    supervisor.end()


def test_a_killed_child_comes_back_and_its_own_children_do_not_outlive_it() -> None:
    with supervised(python("web", PARENT)) as (supervisor, said):
        child = supervisor.children[0]
        supervisor.revive(0)
        grandchild = int(until(lambda: said)[0].split()[-1])
        assert child.process is not None
        first = child.process.pid
        os.kill(first, signal.SIGKILL)
        dead(child)
        now = time.monotonic()
        supervisor.revive(now)
        assert said[1:] == ["web | killed by SIGKILL; back in 1 s"]
        until(lambda: not is_alive(grandchild))
        supervisor.revive(now + 0.9)
        assert child.process is None
        supervisor.revive(now + 1)
        assert child.process.pid != first
        until(lambda: len(said) == 3)


def test_what_dies_at_once_again_and_again_comes_back_ever_more_slowly() -> None:
    with supervised(python("web", "raise SystemExit(3)")) as (supervisor, said):
        child = supervisor.children[0]
        waits = []
        for _ in range(6):
            supervisor.revive(child.restart_at)
            dead(child)
            supervisor.revive(child.started_at + 0.1)
            waits.append(child.wait)
            before = child.process
            supervisor.revive(child.restart_at - 0.01)
            assert before is child.process is None  # no busy loop
    assert waits == [1, 2, 4, 8, 10, 10]
    assert said[:2] == ["web | ended with 3; back in 1 s", "web | ended with 3; back in 2 s"]


def test_who_lived_long_enough_is_back_in_a_second() -> None:
    with supervised(python("web", "")) as (supervisor, _said):
        child = supervisor.children[0]
        child.wait = 8.0
        supervisor.revive(0)
        dead(child)
        supervisor.revive(child.started_at + 5)
        assert child.wait == 1


def test_a_command_that_is_not_there_is_named_and_the_others_run() -> None:
    with supervised(Child("web", ["/no/such/program"]), python("worker", "print('here')")) as (
        supervisor,
        said,
    ):
        supervisor.revive(time.monotonic())
        until(lambda: len(said) == 2)
    assert said[0].startswith("web    | cannot start: ")
    assert said[0].endswith("/no/such/program'; back in 1 s")
    assert said[1] == "worker | here"


@pytest.mark.parametrize(
    ("code", "words"), [(0, "ended with 0"), (-15, "killed by SIGTERM"), (-99, "killed by signal 99")]
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert ending(code) == words


# --- from outside: signals to the supervisor itself ---

MAIN = """
import sys
from portal.supervisor import Child, Supervisor
children = [Child(f"c{n}", [sys.executable, "-c", code]) for n, code in enumerate(sys.argv[2:])]
sys.exit(Supervisor(children, out=lambda line: print(line, flush=True), grace=float(sys.argv[1])).run())
"""


@contextmanager
def running(*codes: str, grace: float = 5) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A supervisor as a process of its own, and the pids that its children print, by child."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(grace), *codes], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pids: dict[str, int] = {}
    try:
        assert process.stdout is not None
        while len(pids) < len(codes):
            name, _, words = process.stdout.readline().partition(" | ")
            if words.strip().isdecimal():
                pids[name] = int(words)
        yield process, pids
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def say_pid(code: str) -> str:
    return f"import os; print(os.getpid(), flush=True)\n{code}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_children_and_grandchildren(number: int) -> None:
    with running(say_pid(SLEEP), PARENT) as (process, pids):
        assert os.getsid(pids["c0"]) == pids["c0"] != os.getsid(process.pid)
        process.send_signal(number)
        assert process.wait(4) == 0
        assert not any(map(is_alive, pids.values()))


def test_a_child_that_ignores_sigterm_ends_with_the_grace() -> None:
    with running(say_pid(STUBBORN), DEAF_PARENT, grace=0.6) as (process, pids):
        until(lambda: all(map(ignores_sigterm, pids.values())))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # impatience changes nothing
        assert process.wait(4) == 0
        assert 0.5 < time.monotonic() - began < 2.5
        until(lambda: not any(map(is_alive, pids.values())))


def test_who_is_killed_serves_again_after_a_second() -> None:
    with running(say_pid(SLEEP)) as (process, pids):
        os.kill(pids["c0"], signal.SIGKILL)
        assert process.stdout is not None
        assert process.stdout.readline() == "c0 | killed by SIGKILL; back in 1 s\n"
        again = int(process.stdout.readline().split()[-1])
        assert again != pids["c0"]
        assert is_alive(again)
        process.terminate()
        assert process.wait(4) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help exists on Linux only")
def test_a_supervisor_that_is_killed_leaves_no_child_behind() -> None:
    with running(say_pid(SLEEP)) as (process, pids):
        process.kill()
        until(lambda: not is_alive(pids["c0"]))


# --- the command ---


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_taken_port_is_refused_with_what_to_do(taken: int) -> None:
    environment = os.environ | {"PORT": str(taken), "DEBUG": "true"}
    done = subprocess.run(
        [sys.executable, "manage.py", "run"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    another = taken + 1 if taken < 65535 else 8001
    expected = f"CommandError: Port {taken} is taken. Choose another one: PORT={another} make run\n"
    assert done.stderr == expected


@pytest.mark.parametrize(("said", "port"), [("", 8000), (" 8001 ", 8001), ("1", 1), ("65535", 65535)])
def test_a_port_is_a_number(monkeypatch: pytest.MonkeyPatch, said: str, port: int) -> None:
    monkeypatch.setenv("PORT", said)
    assert run.Command().port() == port


@pytest.mark.parametrize("said", ["abc", "0", "-1", "65536", "８０", "80 81", "0x50", "9" * 5000])
def test_what_is_no_port_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("PORT", said)
    with pytest.raises(CommandError, match=f"“{said[:20]}” is not a port. .* PORT=8001 make run"):
        run.Command().port()


def test_a_port_that_needs_more_rights_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run.socket.socket, "bind", bind)
    with pytest.raises(
        CommandError, match=r"Port 80 cannot be used \(Permission denied\).*PORT=8001 make run"
    ):
        run.Command().refuse_taken(80)


class Idle:
    def __init__(self, children: list[Child], out: Callable[[str], object]) -> None:
        self.names = [child.name for child in children]

    def run(self) -> int:
        assert self.names == ["web", "worker", "clockwork"]
        return 0


def first_lines(monkeypatch: pytest.MonkeyPatch, **patches: Any) -> list[str]:
    """What `manage.py run` says before it serves."""
    monkeypatch.setenv("PORT", "8765")
    for name, value in {"Supervisor": Idle, "call_command": lambda *_, **__: None, **patches}.items():
        monkeypatch.setattr(run, name, value)
    monkeypatch.setattr(run.Command, "refuse_taken", lambda self, port: None)
    monkeypatch.setattr(run.connection, "close", lambda: None)
    out = StringIO()
    command = run.Command(stdout=out)
    with pytest.raises(SystemExit) as end:
        command.handle()
    assert end.value.code == 0
    return out.getvalue().splitlines()


def test_the_first_lines_name_the_address_and_the_demo_logins(
    acme: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    lines = first_lines(monkeypatch)
    assert lines[1] == f"{settings.SUPPORT_BRAND} is at http://127.0.0.1:8765/  (staff desk: /admin/)"
    assert lines[2] == f"Demo logins, all with the password {DEMO_PASSWORD}"
    assert [line.split(maxsplit=1) for line in lines[3:13]] == [list(login) for login in DEMO_LOGINS]
    assert "Ctrl-C ends everything." in lines


def test_in_production_no_demo_login_is_named(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = False
    lines = first_lines(monkeypatch)
    assert f"{settings.SUPPORT_BRAND} is at http://127.0.0.1:8765/" in lines[1]
    assert not any(DEMO_PASSWORD in line or "@" in line for line in lines)


def test_ctrl_c_before_anything_is_served_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: run.Command) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Command, "prepare", interrupted)
    monkeypatch.setattr(run.Command, "refuse_taken", lambda self, port: None)
    with pytest.raises(CommandError, match="Stopped before anything was served") as end:
        run.Command().handle()
    assert end.value.returncode == 130


def test_a_database_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise run.OperationalError("connection refused")

    monkeypatch.setattr(run, "DATABASE_WAIT_SECONDS", -1)
    monkeypatch.setattr(run.connection, "ensure_connection", refuse)
    with pytest.raises(CommandError, match="The database does not answer: connection refused"):
        run.Command().wait_for_database()
