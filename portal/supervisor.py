"""One supervisor for web, worker and clockwork: a killed child comes back, Ctrl-C ends everything.

Children run in sessions of their own (or Ctrl-C would reach Celery twice) and are told by the kernel to
end when the supervisor dies, so that a kill -9 leaves no orphan server behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

GRACE_SECONDS = 8.0
QUICK_DEATH_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 10.0
PR_SET_PDEATHSIG = 1
COLOURS = ("\033[36m", "\033[35m", "\033[33m", "\033[32m")


@dataclass
class Child:
    """A process to keep alive."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    wait: float = 0.0
    restart_at: float = 0.0
    prefix: str = field(default="")


def die_with_parent() -> None:
    """In the child, before exec: ask the kernel for SIGTERM when the supervisor dies (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Starts the children, copies their output line by line, and brings back the dead."""

    def __init__(self, children: Sequence[Child], out: Callable[[str], object] = print) -> None:
        self.children = list(children)
        self.out = out
        self.is_stopping = False
        width = max(len(child.name) for child in self.children)
        for number, child in enumerate(self.children):
            label = f"{child.name:<{width}} | "
            is_terminal = sys.stdout.isatty()
            child.prefix = f"{COLOURS[number % 4]}{label}\033[0m" if is_terminal else label

    def run(self) -> int:
        """Keep the children alive until SIGINT or SIGTERM; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        for child in self.children:
            self.start(child)
        while not self.is_stopping:
            self.revive(time.monotonic())
            time.sleep(0.2)
        self.end()
        return 0

    def stop(self, *_signal: object) -> None:
        self.is_stopping = True

    def start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603 (our own commands)
            child.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        threading.Thread(target=self.copy, args=(child, child.process.stdout), daemon=True).start()

    def copy(self, child: Child, stream: IO[bytes]) -> None:
        for line in stream:
            self.out(child.prefix + line.decode("utf-8", "replace").rstrip())

    def revive(self, now: float) -> None:
        """Restart children that died; one that dies at once waits longer each time, up to 10 s."""
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                is_quick = now - child.started_at < QUICK_DEATH_SECONDS
                child.wait = min(LONGEST_WAIT_SECONDS, max(1.0, child.wait * 2)) if is_quick else 0.0
                self.out(f"{child.prefix}ended with {child.process.returncode}; back in {child.wait:.0f} s")
                child.process, child.restart_at = None, now + child.wait
            if child.process is None and now >= child.restart_at:
                self.start(child)

    def end(self) -> None:
        """Ask every child to end, then make it."""
        running = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in running:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it ended by itself in the meantime
