from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aliquot.eks.preflight.selecting import Labelled
from aliquot.kube.selectors.labels import from_object

words = st.sampled_from(["a", "b", "c"])
labels = st.dictionaries(words, words, max_size=3)
things = st.lists(st.tuples(words, labels), max_size=12)
expressions = st.one_of(
    st.fixed_dictionaries({"key": words, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(words, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"key": words, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)  # fmt: skip
selectors = st.fixed_dictionaries(
    {}, optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)}
)


@given(things, words, selectors)
def test_it_is_as_if_each_had_been_looked_at(
    things: list[tuple[str, dict[str, str]]], namespace: str, selector: dict[str, Any]
) -> None:
    one_by_one = [
        number
        for number, (of, labels) in enumerate(things)
        if of == namespace and from_object(selector).matches(labels)
    ]
    labelled = Labelled((of, labels, number) for number, (of, labels) in enumerate(things))
    assert labelled.selected(namespace, selector) == one_by_one


def test_no_selector_takes_nothing_and_an_empty_one_everything() -> None:
    labelled = Labelled([("shop", {"a": "b"}, 1), ("other", {}, 2)])
    assert labelled.selected("shop", None) == []
    assert labelled.selected("shop", {}) == [1]
    assert labelled.selected("nowhere", {}) == []
