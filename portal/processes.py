"""Work that uses every core: a function of the product, called in processes of its own.

This module imports nothing of Django's models, for a new process reads it before Django is set up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from typing import Any


def each(function: str, calls: Iterable[tuple[Any, ...]], jobs: int) -> Iterator[Any]:
    """What `function` ("package.module:name") returns for each tuple of arguments, in order.

    With one job in this process, else in so many new ones. Arguments and results are pickled. An exception
    of the function is raised here.
    """
    if jobs == 1:
        yield from (_call((function, *arguments)) for arguments in calls)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin) as pool:
        yield from pool.map(_call, ((function, *arguments) for arguments in calls))


def _begin() -> None:
    import django  # noqa: PLC0415

    django.setup()


def _call(named: tuple[Any, ...]) -> Any:
    module, name = named[0].split(":")
    return getattr(import_module(module), name)(*named[1:])
