"""Grouping decides on plain objects: it knows nothing of clients, caches, randomness or the network."""

from pathlib import Path

import pytest

import aliquot.scheduler.grouping as grouping
from tests.scheduler.test_core_imports import imported

PACKAGE = grouping.__name__
MODULES = sorted(Path(grouping.__path__[0]).rglob("*.py"))
ALLOWED = {
    "aliquot.clock",
    "aliquot.kube.api.core",
    "aliquot.kube.api.gpunode",
    "aliquot.kube.api.meta",
    "aliquot.kube.api.podgroup",
    "aliquot.kube.duration",
    "aliquot.kube.quoted",
    "aliquot.kube.resources",
    "aliquot.scheduler.core.jobs",
    "aliquot.scheduler.core.reasons",
    "aliquot.scheduler.core.topology",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "msgspec",
    "re",
    "typing",
}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_grouping_imports_only_itself_and_pure_modules(module: Path) -> None:
    names = set(imported(module.read_text()))
    assert {name for name in names - ALLOWED if not name.startswith(PACKAGE)} == set()
