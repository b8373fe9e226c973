"""docs/node.md names every metric with its type, and no other."""

import re
from pathlib import Path

from tests.node.metrics.all_families import all_families

PAGE = Path(__file__).parents[3] / "docs/node.md"


def test_the_table_of_names_is_complete_and_true() -> None:
    section = PAGE.read_text().partition("### Names")[2].partition("###")[0]
    rows = re.findall(r"^\| (`.*`) \| (\w+) \|", section, re.MULTILINE)
    documented = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    shown = all_families()
    assert documented == {family.name: family.kind.value for family in shown}
    assert all(family.samples for family in shown), "each can be seen on some node"
