"""The core decides on plain data: it knows nothing of clients, time, randomness or the network."""

import ast
from pathlib import Path

import pytest

import aliquot.scheduler.core as core

MODULES = sorted(Path(core.__path__[0]).glob("*.py"))
ALLOWED = {
    "aliquot.gpu",
    "aliquot.kube.api",  # the objects' types alone
    "aliquot.partition",
    "aliquot.scheduler.core",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "types",
    "typing",
}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_core_imports_only_itself_and_pure_modules(module: Path) -> None:
    imported: set[str] = set()
    for statement in ast.walk(ast.parse(module.read_text())):
        if isinstance(statement, ast.Import):
            imported.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            imported.add(statement.module or "")
    foreign = {
        name for name in imported if not any(name == ok or name.startswith(f"{ok}.") for ok in ALLOWED)
    }
    assert foreign == set()
