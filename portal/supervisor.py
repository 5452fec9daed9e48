"""One supervisor for web, worker and clockwork: a killed child comes back, Ctrl-C ends everything.

Children run in sessions of their own (or Ctrl-C would reach Celery twice) and are told by the kernel to
end when the supervisor dies, so that a kill -9 leaves no orphan server behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

GRACE_SECONDS = 8.0
QUICK_DEATH_SECONDS = 5.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 10.0
LAST_WORDS_SECONDS = 0.5
LONGEST_LINE = 64 * 1024
PR_SET_PDEATHSIG = 1
COLOURS = ("\033[36m", "\033[35m", "\033[33m", "\033[32m")
LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None  # not between fork and exec


@dataclass
class Child:
    """A process to keep alive. `group` is what it and its own children are signalled by."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    group: int = 0
    copier: threading.Thread | None = None
    started_at: float = 0.0
    wait: float = 0.0
    restart_at: float = 0.0
    prefix: str = ""


def die_with_parent() -> None:
    """In the child, before exec: ask the kernel for SIGTERM when the supervisor dies (Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Starts the children, copies their output line by line, and brings back the dead."""

    def __init__(
        self,
        children: Sequence[Child],
        out: Callable[[str], object] = print,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.children = list(children)
        self.out = out
        self.grace = grace
        self.is_stopping = False
        self.one_at_a_time = threading.Lock()
        width = max(len(child.name) for child in self.children)
        for number, child in enumerate(self.children):
            label = f"{child.name:<{width}} | "
            is_terminal = sys.stdout.isatty()
            child.prefix = f"{COLOURS[number % 4]}{label}\033[0m" if is_terminal else label

    def run(self) -> int:
        """Keep the children alive until SIGINT or SIGTERM; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        while not self.is_stopping:
            self.revive(time.monotonic())
            time.sleep(0.2)
        self.end()
        return 0

    def stop(self, *_signal: object) -> None:
        """End at the next turn of the loop."""
        self.is_stopping = True

    def say(self, line: str) -> None:
        """One whole line at a time; when nobody reads any more, the children are served all the same."""
        with self.one_at_a_time, contextlib.suppress(OSError, ValueError):
            self.out(line)

    def start(self, child: Child) -> None:
        """Start the child, or say why it cannot start and try again later."""
        child.started_at = time.monotonic()
        try:
            process = subprocess.Popen(  # noqa: S603 (our own commands)
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            self.postpone(child, f"cannot start: {error}", child.started_at)
            return
        child.process, child.group = process, process.pid
        child.copier = threading.Thread(target=self.copy, args=(child.prefix, process.stdout), daemon=True)
        child.copier.start()

    def copy(self, prefix: str, stream: IO[bytes]) -> None:
        """Pass output on by lines; the last one may lack its end, an endless one comes in pieces."""
        with stream:
            for line in iter(lambda: stream.readline(LONGEST_LINE), b""):
                self.say(prefix + line.decode("utf-8", "replace").rstrip())

    def revive(self, now: float) -> None:
        """Start what does not run: at first, and again after a death's pause."""
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                signal_group(child.group, signal.SIGTERM)  # what it leaves behind holds its port
                self.postpone(child, ending(child.process.returncode), now)
            if child.process is None and now >= child.restart_at:
                signal_group(child.group, signal.SIGKILL)
                self.start(child)

    def postpone(self, child: Child, reason: str, now: float) -> None:
        """Bring it back in a second; one that dies at once waits twice as long each time, up to 10 s."""
        is_again = child.wait and now - child.started_at < QUICK_DEATH_SECONDS
        child.wait = min(LONGEST_WAIT_SECONDS, child.wait * 2) if is_again else FIRST_WAIT_SECONDS
        child.process, child.restart_at = None, now + child.wait
        self.say(f"{child.prefix}{reason}; back in {child.wait:.0f} s")

    def end(self) -> None:
        """Ask every child and what it started to end, then make them."""
        for child in self.children:
            signal_group(child.group, signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        while any(map(lives, self.children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for child in self.children:
            signal_group(child.group, signal.SIGKILL)
        for child in self.children:
            if child.process is not None:
                child.process.wait()
            if child.copier is not None:
                child.copier.join(LAST_WORDS_SECONDS)


def ending(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"ended with {returncode}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-returncode).name}"
    return f"killed by signal {-returncode}"


def lives(child: Child) -> bool:
    """Whether the child or anything of its group is still there."""
    if child.process is not None and child.process.poll() is None:
        return True
    return signal_group(child.group, 0)


def signal_group(group: int, number: int) -> bool:
    """Signal a child and what it started; False when all of them are gone. 0 only asks."""
    if not group:
        return False  # never started; and 0 would be our own group
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False  # gone, or (on a Mac) only its name is left
    return True
