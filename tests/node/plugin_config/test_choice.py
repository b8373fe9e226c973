from collections.abc import Sequence

import pytest

from aliquot.node.plugin_config.choice import FALLBACKS, LABEL, Chosen, Fallback, NotChosen, choose


@pytest.mark.parametrize(
    ("label", "names", "default", "fallbacks", "chosen"),
    [
        ("a", ["a", "b"], "", FALLBACKS, "a"),
        ("a", ["a", "b"], "b", FALLBACKS, "a"),
        ("", ["a", "b"], "b", FALLBACKS, "b"),
        ("", ["a", "default"], "", FALLBACKS, "default"),
        ("", ["a"], "", FALLBACKS, "a"),
        ("", ["a", "b"], "", FALLBACKS, ""),
        ("", [], "", FALLBACKS, ""),
        ("", ["default"], "", [Fallback.EMPTY, Fallback.NAMED], ""),
        ("", ["a"], "", [Fallback.SINGLE], "a"),
    ],
)
def test_a_node_takes_one(
    label: str, names: list[str], default: str, fallbacks: Sequence[Fallback], chosen: str
) -> None:
    labels = {LABEL: label} if label else {}
    assert choose(labels, names, default=default, fallbacks=fallbacks) == Chosen(chosen)


@pytest.mark.parametrize(
    ("label", "names", "default", "fallbacks", "reason"),
    [
        (
            "tims-sliced",
            ["time-sliced", "b"],
            "",
            FALLBACKS,
            "label nvidia.com/device-plugin.config names 'tims-sliced', which is no configuration; "
            "did you mean 'time-sliced'?",
        ),
        ("x", ["a", "b"], "", FALLBACKS, "there are a, b"),
        ("x", [], "", FALLBACKS, "there is none"),
        ("", ["a"], "z", FALLBACKS, "the default names 'z'"),
        ("", ["a", "b"], "", [Fallback.NAMED, Fallback.SINGLE], "no fallback fits; there are a, b"),
    ],
)
def test_a_node_that_can_take_none_is_told_why(
    label: str, names: list[str], default: str, fallbacks: Sequence[Fallback], reason: str
) -> None:
    labels = {LABEL: label} if label else {}
    refused = choose(labels, names, default=default, fallbacks=fallbacks)
    assert isinstance(refused, NotChosen)
    assert reason in refused.reason
