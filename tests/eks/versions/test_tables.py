"""Tables of your own, in pluto's form: what is taken, and what is refused with its line."""

from pathlib import Path

import pytest

from aliquot.document import DocumentError
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import KUBERNETES, Stage, State, shipped
from aliquot.eks.versions.tables import load

GOOD = """\
target-versions: {shop: v1.4.0}
deprecated-versions:
- {version: shop.example.com/v1beta1, kind: Order, deprecated-in: v1.2.0, removed-in: v1.5.0, replacement-api: shop.example.com/v1, component: shop}
- {version: old.example.com, removed-in: v1.3.0, component: shop}
- {version: beta.example.com/v1beta1, kind: "", deprecated-in: v1.30.0, component: k8s}
"""


def table(path: Path, text: str) -> Path:
    file = path / "table.yaml"
    file.write_text(text)
    return file


def test_rows_in_plutos_form(tmp_path: Path) -> None:
    found = load(table(tmp_path, GOOD), shipped())
    assert found.targets == {"shop": Minor(1, 4)}
    known = shipped().with_rows(found.rows)
    order = known.of("shop.example.com/v1beta1", "Order")
    assert order is not None
    assert (order.component, order.use, order.stage) == ("shop", "shop.example.com/v1", Stage.CRD)
    assert [order.state(Minor(1, minor)) for minor in (1, 2, 5)] == [None, State.DEPRECATED, State.REMOVED]
    every = known.of("old.example.com/v1alpha7", "Anything")
    assert every is not None
    assert every.deprecated == every.removed == Minor(1, 3)
    beta = known.of("beta.example.com/v1beta1", "Whatever")
    assert beta is not None
    assert beta.component == KUBERNETES
    assert shipped().of("shop.example.com/v1beta1", "Order") is None
    assert {row.component for row in known.only(["shop"]).rows} == {"shop"}
    assert "shop" in known.components


ROW = "deprecated-versions:\n- {version: x.example.com/v1, kind: X, removed-in: v1.5.0, component: x}\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (ROW + "- {version: x.example.com/v1, kind: X, removed-in: v1.6.0, component: x}\n", 3, "twice"),
        (
            "deprecated-versions:\n- {version: extensions/v1beta1, kind: Deployment, deprecated-in: v1.9.0, component: other}\n",
            2,
            "extensions/v1beta1 Deployment is in the shipped table",
        ),
        (ROW + "- {version: y.example.com/v1, kind: X, component: x}\n", 3, "deprecated-in or removed-in"),
        (ROW + "- {version: y.example.com/v1, removed-in: soon, component: x}\n", 3, "'soon' is no version"),
        (ROW + "- {version: y.example.com/v1, removed-in: v1.5.3, component: x}\n", 3, "minors alone"),
        (ROW + "- {version: '', removed-in: v1.5.0, component: x}\n", 3, "a version and a component"),
        (ROW + "- {version: y.example.com/v1, removed-in: v1.5.0}\n", 3, "component"),
        (ROW + "- {version: y/v1, removedIn: v1.5.0, component: x}\n", 3, "did you mean 'removed-in'"),
        (ROW + "target-versions: {x: latest}\n", 3, "'latest' is no version"),
        ("rows: []\n", 1, "deprecated-versions"),
        ("deprecated-versions: {\n", None, ""),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int | None, says: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        load(table(tmp_path, text), shipped())
    assert says in str(refused.value)
    assert "table.yaml" in str(refused.value)
    if line is not None:
        assert refused.value.line == line
