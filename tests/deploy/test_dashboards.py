"""The dashboards that we ship ask for nothing that the agent does not show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aliquot.metrics.exposition import Kind
from tests.node.metrics.all_families import all_families

DASHBOARDS = sorted((Path(__file__).parents[2] / "deploy/dashboards").glob("*.json"))

_WORDS = {"by", "without", "on", "ignoring", "or", "and", "unless", "bool", "offset"}


SUFFIXES = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
FAMILIES = all_families()
NAMES = {family.name + suffix for family in FAMILIES for suffix in SUFFIXES.get(family.kind, ("",))}
LABELS = {name for f in FAMILIES for s in f.samples for name in re.findall(r'(\w+)="', s.labels)}


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(where, expression)"""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def named(expression: str) -> tuple[set[str], set[str]]:
    """Metrics and labels."""
    bare = re.sub(r'"[^"]*"', "", expression)
    found = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)(?!=)", bare))
    for group in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", bare):
        found |= set(re.findall(r"\w+", group))
    if variable := re.fullmatch(r"label_values\((\w+), (\w+)\)", bare):
        return {variable[1]}, {variable[2]}
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b[A-Za-z_]\w*\b(?!\s*\()", bare)) - _WORDS, found


@pytest.mark.parametrize(
    ("expression", "metrics", "labels"),
    [
        ("sum by (a, b) (rate(m_total[5m])) / n", {"m_total", "n"}, {"a", "b"}),
        ('m{x=~"$v", y!=""} == 0 or vector(0)', {"m"}, {"x", "y"}),
        ("label_values(m, x)", {"m"}, {"x"}),
    ],
)
def test_what_an_expression_names(expression: str, metrics: set[str], labels: set[str]) -> None:
    assert named(expression) == (metrics, labels)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_metric_and_label_of_a_dashboard_is_shown(path: Path) -> None:
    asked = list(queries(json.loads(path.read_text())))
    assert len(asked) > 10
    for where, expression in asked:
        metrics, labels = named(expression)
        assert metrics, f"{where}: {expression}"
        assert metrics <= NAMES, f"{where}: no such metric: {metrics - NAMES}"
        assert labels <= LABELS, f"{where}: no such label: {labels - LABELS}"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_lie_side_by_side_and_have_numbers_of_their_own(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        mine = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & mine, panel["title"]
        cells |= mine
