"""Documents at the door: YAML or JSON text into typed msgspec values, or one line that says what is wrong.

Stricter than a YAML library on purpose: unknown fields, duplicate keys (unless the caller wants to judge them), tags
that build objects, bottomless nesting and alias bombs are refused, and every complaint names file and line. It knows
nothing of what any document means.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aliquot.document.fitting import Misfit, fit, kind_of, nearest
from aliquot.document.from_json import read_json
from aliquot.document.from_yaml import read_yaml
from aliquot.document.parts import DocumentError, Key, Node, Repeat, Value

__all__ = [
    "Document",
    "DocumentError",
    "Repeat",
    "load",
    "load_all",
    "load_file",
    "nearest",
    "parse",
    "parse_all",
    "read",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as plain values, with the line of every part."""

    source: str
    value: Value
    root: Node | None = None
    """None: it came from nowhere that has lines."""

    def line(self, path: tuple[Key, ...]) -> int | None:
        """Of the part at `path` (`("gpus", 0, "board")`), or of the nearest part around it."""
        node = self.root
        if node is None:
            return None
        for key in path:
            inner = node.children.get(key)
            if inner is None:
                break
            node = inner
        return node.line

    def error(self, path: tuple[Key, ...], message: str) -> DocumentError:
        return DocumentError(self.source, self.line(path), message)

    def into(self, type_: type[T]) -> T:
        """Raises DocumentError on unknown fields, wrong types and missing fields, at any depth."""
        try:
            return fit(self.value, type_)
        except Misfit as misfit:
            raise self.error(misfit.path, str(misfit)) from None


def parse_all(text: str, *, source: str, repeats: list[Repeat] | None = None) -> list[Document]:
    """Every document of a stream, empty ones left out. Raises DocumentError.

    With `repeats`, a key that an object has twice is noted there and the last one counts; without, it is refused.
    """
    json_root = read_json(source, text, repeats) if text.lstrip()[:1] in ("{", "[") else None
    if json_root is None and repeats is not None:
        repeats.clear()
    roots = read_yaml(source, text, repeats) if json_root is None else [json_root]
    return [Document(source, root.value, root) for root in roots]


def parse(text: str, *, source: str, repeats: list[Repeat] | None = None) -> Document:
    """The one document of `text`. `repeats` is as in `parse_all`."""
    documents = parse_all(text, source=source, repeats=repeats)
    if not documents:
        raise DocumentError(source, None, "the document is empty")
    if len(documents) > 1:
        raise documents[1].error((), "a second document begins here; one is expected")
    return documents[0]


def read(path: Path) -> str:
    """The text of a file. Raises DocumentError where it cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(str(path), None, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(str(path), line, "not UTF-8 text") from None


def load(text: str, type_: type[T], *, source: str) -> T:
    return parse(text, source=source).into(type_)


def load_file(path: Path, type_: type[T]) -> T:
    return load(read(path), type_, source=str(path))


def load_all(text: str, *, source: str) -> list[dict[str, Any]]:
    """Every object of a stream of manifests, as plain dicts."""
    documents = parse_all(text, source=source)
    for document in documents:
        if not isinstance(document.value, dict):
            raise document.error((), f"an object is expected, not {kind_of(document.value)}")
    return [document.value for document in documents]
