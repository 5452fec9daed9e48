"""Loads the planted modules instead of the written ones. `install()` before Django is set up."""

from __future__ import annotations

import ast
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType
from typing import Any

from tests.mutation.sites import PACKAGES, Found, find


class PlantedLoader(SourceFileLoader):
    """A module from its planted tree; never from a compiled file of the written one."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self.tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


class PlantedFinder(MetaPathFinder):
    def __init__(self, planted: dict[str, ast.Module]) -> None:
        self.planted = planted

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.split(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.origin in self.planted:
            spec.loader = PlantedLoader(name, spec.origin, self.planted[spec.origin])
        return spec


def install() -> Found:
    """Switch the import of our packages over; returns what was found in them."""
    loaded = [name for name in sys.modules if name.split(".")[0] in PACKAGES]
    if loaded:
        raise RuntimeError(f"loaded before the switches were planted: {loaded}")
    found = find()
    sys.meta_path.insert(0, PlantedFinder(found.planted))
    return found
