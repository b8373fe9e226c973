"""Whatever the API server has stored as a GPUPolicy, by a definition of ours or another, is read or refused in one line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.kube import crds
from aliquot.operator.core.operands import Image, shipped
from aliquot.operator.core.policies import read_stored
from aliquot.operator.core.pools import Pool
from aliquot.operator.core.rendering.operands import manifests
from aliquot.windows import opens_in_s

IMAGES = shipped(Image("", "aliquot", "1"))
TEXTS = st.sampled_from(
    ("", "a", "Europe", "..", "/", "a/b", "0", "-1", "1h", "9" * 30 + "h", "50%", "a=b", "a in (b", "0 0 * * *")
) | st.text(max_size=8)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly of the schema's types, without its limits."""
    match schema:
        case {"enum": values}:
            found: st.SearchStrategy[Any] = st.sampled_from(values)
        case {"properties": properties}:
            found = st.fixed_dictionaries({}, optional={name: of(one) for name, one in properties.items()})
        case {"additionalProperties": one}:
            found = st.dictionaries(TEXTS, of(one), max_size=2)
        case {"type": "array", "items": one}:
            found = st.lists(of(one), max_size=2)
        case {"type": "boolean"}:
            found = st.booleans()
        case {"type": "integer"}:
            found = st.integers()
        case _:
            found = TEXTS
    return st.one_of(found, found, found, ANYTHING)


(_VERSION,) = crds.GPUPOLICY_CRD["spec"]["versions"]
_SPEC = _VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]
ONE_FIELD = st.one_of(*(st.fixed_dictionaries({name: of(one)}) for name, one in _SPEC["properties"].items()))
"""Of whole specs hardly one would pass."""


@given(spec=ONE_FIELD | ANYTHING)
def test_it_is_read_or_refused_in_one_line(spec: Any) -> None:
    found = read_stored({"metadata": {"name": "p", "uid": "u"}, "spec": spec}, IMAGES)
    assert (found.policy is None) is bool(found.problem)
    assert "\n" not in found.problem
    if found.policy is not None:
        manifests(found.policy, "ns", [Pool("ubuntu24.04")])
        assert opens_in_s(found.policy.rules.windows, 1_800_000_000.0) >= 0


@pytest.mark.parametrize("spec", ["text", 3, True, ["a"]])
def test_a_spec_that_is_no_object(spec: Any) -> None:
    found = read_stored({"metadata": {"name": "p", "uid": "u"}, "spec": spec}, IMAGES)
    assert found.problem.startswith("spec: Expected `object`, got `")
