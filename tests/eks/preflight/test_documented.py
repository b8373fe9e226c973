"""What the document says of preflight is there: every check has its row, every test that it names exists."""

import re
from pathlib import Path

from aliquot.eks.preflight.checks.table import CHECKS

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "eks.md").read_text()


def test_every_check_has_its_row() -> None:
    rows = set(re.findall(r"^\| `([\w-]+)` \|", DOCUMENT, re.MULTILINE))
    assert {check.id for check in CHECKS} <= rows


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= there
    assert all((ROOT / path).exists() for path in re.findall(r"`(tests/[\w/]+\.py)`", DOCUMENT))
