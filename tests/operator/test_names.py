"""Names that are put together stay names."""

import pytest

from aliquot.kube.api.gpupolicy import LONGEST_NAME
from aliquot.kube.selectors import label_value_problems
from aliquot.operator.core.operands import Image, parse_image, shipped
from aliquot.operator.core.policies import read_stored
from aliquot.operator.core.pools import Pool
from aliquot.operator.core.rendering.operands import manifests

POOLS = [
    Pool("ubuntu24.04"),
    Pool("ubuntu24.04", "6.8.0-60-generic"),
    Pool("opensuse-leap15.6", "6.4.0-150600.23.47-default"),
    Pool("Some_OS1_2"),
]


@pytest.mark.parametrize("name", ["p", "x" * LONGEST_NAME])
def test_the_longest_is_one(name: str) -> None:
    policy = read_stored({"metadata": {"name": name}}, shipped(Image("", "aliquot", "1"))).policy
    assert policy is not None
    names = set()
    for one in manifests(policy, "ns", POOLS):
        found = one["metadata"]["name"]
        names.add(found)
        assert len(found) <= 63
        assert found == found.lower()
        assert "_" not in found
        assert "." not in found
        values = [*one["metadata"]["labels"].values(), *one["spec"]["selector"]["matchLabels"].values()]
        assert not [value for value in values if label_value_problems(value)]
    assert len(names) == len(POOLS) + 4


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("a/b/name:1", Image("a/b", "name", "1")),
        ("name:1", Image("", "name", "1")),
        ("localhost:5000/name:1", Image("localhost:5000", "name", "1")),
        (f"a/name@{DIGEST}", Image("a", "name", DIGEST)),
        (f"a/name:1@{DIGEST}", Image("a", "name", DIGEST)),
    ],
)
def test_an_image_in_words(text: str, image: Image) -> None:
    assert parse_image(text) == image


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((one, "is no image with a tag or a digest") for one in ("", "name", "localhost:5000/name", "a/:1", "name:")),
        ("a/Name:1", "'Name' is no name of an image"),
        ("a b/name:1", "'a b' is no place of images"),
        ("a/name@sha256:00", "'sha256:00' is no tag, and no digest"),
    ],
)  # fmt: skip
def test_what_is_no_image(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_image(text)
