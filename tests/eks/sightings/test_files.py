from pathlib import Path

import pytest

from aliquot.eks.sightings.files import in_directory, in_text
from aliquot.eks.sightings.sighting import Sighting, Unchecked

TWO = """\
# first
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
---

apiVersion: v1
kind: List
items:
- apiVersion: policy/v1beta1
  kind: PodDisruptionBudget
  metadata: {name: web}
- kind: ConfigMap
  apiVersion: v1
  metadata: {generateName: c-}
"""


def seen(text: str) -> list[tuple[str, str, str, str]]:
    found = list(in_text(text, "f.yaml"))
    assert all(isinstance(one, Sighting) for one in found), found
    return [
        (one.api_version, one.kind, one.name, str(one.where)) for one in found if isinstance(one, Sighting)
    ]


def test_each_document_and_each_item_of_a_list_has_its_line() -> None:
    assert seen(TWO) == [
        ("apps/v1", "Deployment", "web", "f.yaml:2"),
        ("policy/v1beta1", "PodDisruptionBudget", "web", "f.yaml:10"),
        ("v1", "ConfigMap", "c-", "f.yaml:14"),
    ]


def test_items_of_a_typed_list_need_not_say_what_they_are() -> None:
    text = '{"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudgetList", "items": [{"metadata": {"name": "a"}}]}'
    assert [(kind, name) for _, kind, name, _ in seen(text)] == [("PodDisruptionBudget", "a")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "replicas: 3\n",
        "a: apiVersion\n",
        "- apiVersion: v1\n",
        "apiVersion: v2\nname: chart\n",
        "apiVersion: 1\nkind: 2\n",
        "kind: List\napiVersion: v1\nitems: [1, null, {}]\n",
    ],
)
def test_what_is_no_manifest_is_passed_over(text: str) -> None:
    assert seen(text) == []


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("apiVersion: v1\nkind: X\n  a: [\n", "f.yaml:3", "mapping values are not allowed"),
        ("apiVersion: v1\nkind: {{ .Values.kind }}\n", "f.yaml:2", "it is a template: render it"),
        ("apiVersion: v1\nkind: X\na: !!python/object:os.system x\n", "f.yaml:3", "tag"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, what: str, why: str) -> None:
    (one,) = in_text(text, "f.yaml")
    assert isinstance(one, Unchecked)
    assert one.what == what
    assert why in one.why
    assert "\n" not in one.why


def test_a_directory_is_read_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\n"
    for path in ("b.yaml", "a/z.yml", "a/x.json", ".git/hidden.yaml", "a/readme.md"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(manifest.replace("NAME", path.replace("/", "-").strip(".")))
    (tmp_path / "latin.yaml").write_bytes(b"apiVersion: v1\nkind: \xff\n")
    found = list(in_directory(tmp_path))
    assert [one.name for one in found if isinstance(one, Sighting)] == ["a-x.json", "a-z.yml", "b.yaml"]
    (unchecked,) = [one for one in found if isinstance(one, Unchecked)]
    assert unchecked.what.endswith("latin.yaml:2")
    assert unchecked.why == "not UTF-8 text"
