"""The core decides on plain data: it knows nothing of clients, time, randomness or the network."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import aliquot.scheduler.core as core

CORE = core.__name__
MODULES = sorted(Path(core.__path__[0]).rglob("*.py"))
ALLOWED = {
    "aliquot.gpu.driver",
    "aliquot.gpu.layout",
    "aliquot.gpu.profiles",
    "aliquot.kube.api.gpuclass",
    "aliquot.kube.api.gpunode",
    "aliquot.kube.api.podgroup",
    "aliquot.partition.demand",
    "aliquot.partition.gpus",
    "aliquot.partition.making",
    "aliquot.partition.served",
    "aliquot.partition.value",
    "aliquot.partition.ways",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "msgspec",
    "msgspec.structs",
    "types",
    "typing",
    "weakref",
}
"""Each by its own name: a package may have pure modules and shells side by side."""


def imported(source: str) -> Iterator[str]:
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            package = statement.module or ""
            for alias in statement.names:
                inner = f"{package}.{alias.name}"
                yield inner if _is_module(inner) else package


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        # What it would be in is a module, and no package.
        return False


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(core.__path__[0])))
def test_core_imports_only_itself_and_pure_modules(module: Path) -> None:
    names = set(imported(module.read_text()))
    assert {name for name in names - ALLOWED if not name.startswith(f"{CORE}.")} == set()


def test_nothing_is_allowed_that_no_module_needs() -> None:
    used = {name for module in MODULES for name in imported(module.read_text())}
    assert ALLOWED - used == set()


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import aliquot.kube.client", "aliquot.kube.client"),
        ("from aliquot.partition import controller", "aliquot.partition.controller"),
        ("from aliquot.partition.controller.loop import Loop", "aliquot.partition.controller.loop"),
        ("from collections.abc import Iterator", "collections.abc"),
    ],
)
def test_an_import_counts_as_the_module_that_it_names(statement: str, name: str) -> None:
    assert list(imported(statement)) == [name]
