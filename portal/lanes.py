"""Work side by side: whoever is slow holds up a lane, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
LANES = 16
LOOK_SECONDS = 0.5


def work_through(
    take: Callable[[int], Iterable[tuple[Job, Callable[[], Result]]]],
    conclude: Callable[[Job, Callable[[], Result]], None],
) -> None:
    """Run what `take(free lanes)` yields until it yields nothing and all is done.

    Each job's call runs in a thread of its own; `take` and `conclude(job, result)` run in the caller's,
    so that only that one needs the database. `result()` returns what the call returned, or raises.
    """
    under_way: dict[Future[Result], Job] = {}
    with ThreadPoolExecutor(LANES, thread_name_prefix="lane") as pool:
        try:
            while True:
                for job, call in take(LANES - len(under_way)):
                    under_way[pool.submit(call)] = job
                if not under_way:
                    return
                done, _running = wait(under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    conclude(under_way.pop(future), future.result)
        finally:  # a worker that stops still notes what it has begun
            for future, job in under_way.items():
                conclude(job, future.result)
