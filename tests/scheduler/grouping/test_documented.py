"""docs/scheduler.md names every kind and key that is read, and its example is what it says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.owners import OWNER_KINDS
from tests.scheduler.grouping.objects import Cluster, pod, refusal, shown

DOCS = (
    (Path(__file__).parents[3] / "docs/scheduler.md")
    .read_text()
    .partition("## Which pods belong together")[2]
)


def all_keys() -> Iterator[str]:
    def flat(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            for one in value:
                yield from flat(one)

    for name in dir(keys):
        if name.isupper():
            yield from filter(None, flat(getattr(keys, name)))


@pytest.mark.parametrize("key", sorted(set(all_keys())))
def test_keys(key: str) -> None:
    # `-preferred-placement` beside its sibling is short for the whole key.
    ending = "-".join(key.partition("/")[2].split("-")[1:])
    assert f"`{key}`" in DOCS or f"`{key}: " in DOCS or (ending and f"`-{ending}`" in DOCS)


@pytest.mark.parametrize("kind", sorted({kind for _, kind in OWNER_KINDS} - {"Node", "Pod"}))
def test_kinds(kind: str) -> None:
    assert re.search(rf"\b{kind}\b", DOCS)


def test_the_example() -> None:
    example = DOCS.partition("```yaml\n")[2].partition("```")[0]
    labels = {"aliquot.dev/pod-group": "serve", "aliquot.dev/sub-group": "workers"}
    found = Cluster(example, priorities={"high": 1}).membership(pod("p", labels))
    assert refusal(found) == ""
    assert (shown(found.job.root), found.leaf) == ("2[prefill:2[leader:1 workers:3] decode:2]", "workers")
