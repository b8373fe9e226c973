"""The templates of an installation: those that are shipped, and its own, none of which anything speaks against."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from aliquot import document
from aliquot.access.core.templates import file
from aliquot.access.core.templates.bindings import Bindings
from aliquot.access.core.templates.objections import objections
from aliquot.access.core.templates.template import Template
from aliquot.document import Document, DocumentError


def shipped(bindings: Bindings) -> tuple[Template, ...]:
    """By name. Who asks for them and who approves is nobody, until `bindings` say so."""
    return tuple(_admitted(found, bindings) for found in shipped_documents())


@cache
def shipped_documents() -> tuple[Document, ...]:
    folder = files("aliquot.access.core.templates") / "shipped"
    names = sorted(one.name.removesuffix(".yaml") for one in folder.iterdir() if one.name.endswith(".yaml"))
    return tuple(document.parse(shipped_text(name), source=f"shipped/{name}.yaml") for name in names)


def shipped_text(name: str) -> str:
    """The file of one that there is."""
    return (files("aliquot.access.core.templates") / "shipped" / f"{name}.yaml").read_text("utf-8")


def catalogue(own: Iterable[Document], bindings: Bindings) -> Mapping[str, Template]:
    """By name; one of the installation's own takes the place of the shipped one of its name. Raises DocumentError."""
    found: dict[str, Template] = {}
    for one in own:
        template = _admitted(one, bindings)
        if template.name in found:
            raise one.error(("name",), f"there is another template '{template.name}'")
        found[template.name] = template
    return {one.name: one for one in shipped(bindings)} | found


def _admitted(found: Document, bindings: Bindings) -> Template:
    """Raises DocumentError."""
    template = file.read(found, bindings)
    if against := objections(template):
        raise DocumentError(found.source, found.line(against[0].path), against[0].message)
    return template
