"""What the oldest Python does otherwise than the one that the tests run on."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def raised_again(tree: ast.AST) -> Iterator[int]:
    """Lines that raise, in an `except*`, something that is not made there: Python 3.11.2 raises the group instead."""
    for node in ast.walk(tree):
        if isinstance(node, ast.TryStar):
            for handler in node.handlers:
                for one in ast.walk(handler):
                    if isinstance(one, ast.Raise) and one.exc is not None and not _is_made_there(one.exc):
                        yield one.lineno


def _is_made_there(raised: ast.expr) -> bool:
    """By a class: those begin with a capital letter."""
    if not isinstance(raised, ast.Call):
        return False
    name = raised.func.attr if isinstance(raised.func, ast.Attribute) else getattr(raised.func, "id", "")
    return name.lstrip("_")[:1].isupper()


def test_what_is_caught_in_a_group_is_not_raised_again_from_there() -> None:
    wrong = [
        f"{module.relative_to(SOURCE)}:{line}"
        for module in sorted(SOURCE.rglob("*.py"))
        for line in raised_again(ast.parse(module.read_text()))
    ]
    assert wrong == []


def test_which_lines_are_meant() -> None:
    text = """
try: f()
except* A as group: raise group.exceptions[0]
except* B as group: raise innermost(group) from None
except* C as group: raise errors.Told(str(group)) from group
except* D: raise
"""
    assert list(raised_again(ast.parse(text))) == [3, 4]
