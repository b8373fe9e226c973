import os
import threading
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


MANIFEST = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(MANIFEST,))
    writer.start()
    (one,) = in_directory(pipe)
    writer.join()
    assert isinstance(one, Sighting)
    assert one.name == "web"


def test_suffixes_are_known_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "web.YAML").write_text(MANIFEST)
    (one,) = in_directory(tmp_path)
    assert isinstance(one, Sighting)


@pytest.mark.parametrize("text", [None, "", "replicas: 3\n"])
def test_where_there_is_no_manifest_nothing_is_passed(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "values.yaml").write_text(text)
    assert list(in_directory(tmp_path)) == [Unchecked(what=str(tmp_path), why="there is no manifest in it")]
    if text is not None:
        (one,) = in_directory(tmp_path / "values.yaml")
        assert isinstance(one, Unchecked)


def test_links_are_followed_or_told(tmp_path: Path) -> None:
    deploy, base = tmp_path / "deploy", tmp_path / "base"
    for directory in (deploy, base):
        directory.mkdir()
        (directory / "web.yaml").write_text(MANIFEST)
    (deploy / "elsewhere").symlink_to(base)
    (deploy / "again").symlink_to(deploy)
    (deploy / "file.yaml").symlink_to(base / "web.yaml")
    (deploy / "nothing.yaml").symlink_to("gone.yaml")
    (deploy / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(deploy / "pipe.yaml")
    found = list(in_directory(deploy))
    assert [one.where.file for one in found if isinstance(one, Sighting)] == [
        str(deploy / "file.yaml"),
        str(deploy / "web.yaml"),
    ]
    assert {one.what.removeprefix(f"{deploy}/"): one.why for one in found if isinstance(one, Unchecked)} == {
        "elsewhere": "it is a link to a directory elsewhere: name that, too",
        "nothing.yaml": "No such file or directory",
        "loop.yaml": "Too many levels of symbolic links",
        "pipe.yaml": "it is no plain file",
    }


def test_a_directory_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "web.yaml").write_text(MANIFEST)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    found = list(in_directory(tmp_path))
    assert Unchecked(what=str(tmp_path / "a"), why="Permission denied") in found


def test_half_a_surrogate_pair_is_told() -> None:
    (one,) = in_text('{"apiVersion": "v1", "kind": "Pod",\n "metadata": {"name": "\\ud800x"}}', "f.json")
    assert one == Unchecked(what="f.json:2", why="half a surrogate pair is no character")
