"""The switch that every mutation site asks: which variant runs now. Nothing but the standard library."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

active = -1  # the number of the site whose variant runs; -1 is the code as written
hits: set[int] = set()


def on(number: int) -> bool:
    """Whether the site's variant runs now. Notes that the site was reached."""
    hits.add(number)
    return number == active


def decorated(number: int, decorator: Callable) -> Callable:
    """The decorator, left out while the site is on."""

    def wrap(plain: Callable) -> Callable:
        guarded = decorator(plain)

        @functools.wraps(guarded)
        def chosen(*args: Any, **kwargs: Any) -> Any:
            return (plain if on(number) else guarded)(*args, **kwargs)

        return chosen

    return wrap


def permissive(number: int, permission: type) -> type:
    """The permission class, which lets everybody in while the site is on."""

    def asked(name: str) -> Callable:
        def method(self: Any, *args: Any, **kwargs: Any) -> bool:
            return on(number) or getattr(permission, name)(self, *args, **kwargs)

        return method

    methods = {name: asked(name) for name in ("has_permission", "has_object_permission")}
    return type(permission.__name__, (permission,), {**methods, "__module__": permission.__module__})


class Flag:
    """A class's constant that turns over while the site is on."""

    def __init__(self, number: int, value: bool) -> None:
        self.number, self.value = number, value

    def __get__(self, instance: object, owner: type | None = None) -> bool:
        return self.value != on(self.number)


class Listed(list):
    """A list that reads as another while the site is on."""

    def __init__(self, number: int, value: list, other: list) -> None:
        super().__init__(value)
        self.number, self.other = number, other

    def __iter__(self) -> Iterator:
        return iter(self.other) if on(self.number) else super().__iter__()


class Cells(dict):
    """A table of which one cell reads differently while its site is on."""

    def __init__(self, value: dict, variants: list[tuple[int, Callable[[], dict]]]) -> None:
        super().__init__(value)
        self.variants = [(number, make()) for number, make in variants]

    def _now(self) -> dict:
        for number, other in self.variants:
            if on(number):
                return other
        return dict(super().items())

    def _noted(self, key: object) -> dict:
        """Note only the sites whose cell is the one asked for."""
        now: dict = dict(super().items())
        for number, other in self.variants:
            if other.get(key) != now.get(key) and on(number):
                now = other
        return now

    def __getitem__(self, key: Any) -> Any:
        return self._noted(key)[key]

    def get(self, key: Any, default: Any = None) -> Any:
        return self._noted(key).get(key, default)

    def items(self) -> Any:
        return self._now().items()

    def values(self) -> Any:
        return self._now().values()
