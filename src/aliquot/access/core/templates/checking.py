"""All that can be said of template files without using them: for their owners, and for whoever reviews a change."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from aliquot.access.core.templates import file
from aliquot.access.core.templates.bindings import Bindings
from aliquot.access.core.templates.objections import objections
from aliquot.document import Document, DocumentError, nearest


class Weight(StrEnum):
    ERROR = "error"
    """Such a template is not taken."""
    NOTE = "note"
    """It is, and may not be what was meant."""


class Finding(Struct, frozen=True, kw_only=True, rename="camel"):
    file: str
    line: int | None
    weight: Weight
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.weight}: {self.message}"


def check(documents: Iterable[Document], bindings: Bindings | None) -> tuple[Finding, ...]:
    """`bindings` None: who is who is not known, and nothing is said of it."""
    names: dict[str, str] = {}
    return tuple(one for found in documents for one in _of(found, bindings, names))


def unreadable(error: DocumentError) -> Finding:
    """Of a file that is no document, or no template."""
    return Finding(file=error.source, line=error.line, weight=Weight.ERROR, message=error.message)


def _of(found: Document, bindings: Bindings | None, names: dict[str, str]) -> Iterator[Finding]:
    def at(path: tuple[str | int, ...], weight: Weight, message: str) -> Finding:
        return Finding(file=found.source, line=found.line(path), weight=weight, message=message)

    try:
        template = file.read(found, bindings or {})
    except DocumentError as error:
        yield unreadable(error)
        return
    if template.name in names:
        other = names[template.name]
        yield at(("name",), Weight.ERROR, f"{other} is template '{template.name}' as well: rename one")
    names.setdefault(template.name, f"{found.source}:{found.line(())}")
    for one in objections(template):
        yield at(one.path, Weight.ERROR, one.message)
    if bindings is None:
        return
    for path, word in file.words(found):
        if word not in bindings:
            yield at(path, Weight.NOTE, f"'{word}' is bound to nobody{nearest(word, bindings)}")
