"""What docs/threat-model.md says that a test shows, one shows: each that it names is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "threat-model.md"
_NAMED = re.compile(r"`(test_[a-z_0-9]+)`")
_DEFINED = re.compile(r"^(?:async )?def (test_[a-z_0-9]+)\(", re.MULTILINE)


def test_every_test_that_is_named_is_there() -> None:
    named = set(_NAMED.findall(DOCUMENT.read_text()))
    there = {
        name for path in (TESTS / "access").rglob("test_*.py") for name in _DEFINED.findall(path.read_text())
    }
    assert len(named) > 60
    assert named <= there, sorted(named - there)
