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


def permissive(number: int, permission: Any) -> type:
    """The permission class (or a composition of some), which lets everybody in while the site is on."""

    class Permissive:
        def __init__(self) -> None:
            self.inner = permission()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def has_permission(self, request: Any, view: Any) -> bool:
            return on(number) or self.inner.has_permission(request, view)

        def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
            return on(number) or self.inner.has_object_permission(request, view, obj)

    return Permissive


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
        self.others: dict[
            Any, list[tuple[int, dict]]
        ] = {}  # a key -> the variants in which it reads differently
        for number, make in variants:
            other = make()
            for key in other.keys() | value.keys():
                if key not in value or other.get(key) != value[key]:
                    self.others.setdefault(key, []).append((number, other))

    def _now(self, key: Any) -> dict:
        for number, other in self.others.get(key, ()):
            if on(number):
                return other
        return dict(super().items())

    def __getitem__(self, key: Any) -> Any:
        return self._now(key)[key]

    def get(self, key: Any, default: Any = None) -> Any:
        return self._now(key).get(key, default)

    def values(self) -> Any:
        return [self[key] for key in self]

    def items(self) -> Any:
        return [(key, self[key]) for key in self]
