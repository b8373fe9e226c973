"""Who may import whom: each row only from rows below it, rooms in one row never each other (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

ROWS = (
    {"cli"},
    {"console"},
    {"installation"},
    {"operator", "scheduler", "access", "eks", "node", "admission", "emulator"},
    {"partition"},
    {"gpu", "kube"},
    {"canonical_json", "clock", "counting", "document", "metrics", "sql", "windows"},
)
"""From the top. Rooms that are still to come have their place already."""

NEVER = {("node", "partition")}
"""Forbidden although the rows would allow it."""

ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}


def may_import(importer: str, imported: str) -> bool:
    if importer == imported or not imported:  # `aliquot` itself: the version
        return True
    return ROW_OF[importer] < ROW_OF[imported] and (importer, imported) not in NEVER


def rooms_imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, room) of every import of ours, wherever it stands; the room is empty for `aliquot` itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "aliquot" else [module]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "aliquot":
                room = rest.partition(".")[0]
                yield node.lineno, "" if room == "__version__" else room


def test_every_room_imports_only_from_below() -> None:
    modules = sorted((SOURCE / "aliquot").rglob("*.py"))
    assert len(modules) > 100
    wrong = []
    for module in modules:
        room = module.relative_to(SOURCE / "aliquot").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for line, imported in rooms_imported(module.read_text()):
            if not may_import(room, imported):
                wrong.append(f"{module.relative_to(SOURCE)}:{line}: {room} may not import {imported}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("cli", "emulator", True),
        ("node", "kube", True),
        ("kube", "clock", True),
        ("emulator", "node", False),
        ("scheduler", "node", False),
        ("gpu", "kube", False),
        ("kube", "gpu", False),
        ("clock", "kube", False),
        ("access", "sql", True),
        ("eks", "sql", True),
        ("sql", "clock", False),
        ("scheduler", "partition", True),
        ("node", "partition", False),
        ("installation", "operator", True),
        ("operator", "installation", False),
    ],
)
def test_the_rule(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import aliquot.kube.client\nfrom aliquot import gpu, __version__\ndef f():\n    from aliquot.node.agent import A\n"
    assert sorted(rooms_imported(source)) == [(1, "kube"), (2, ""), (2, "gpu"), (4, "node")]
