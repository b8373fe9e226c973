"""Who is who in an installation: the words that templates use for people, bound to the groups of identity providers.

roles:
  on-call:
    groups: ["https://login.example.com#sre-on-call"]
  security:
    groups: ["https://login.example.com#security"]
    people: [{issuer: "https://login.example.com", subject: "00u1a2b3"}]

A word that is not bound is nobody: may not ask, and fills no slot.
"""

from collections.abc import Mapping

from msgspec import Struct

from aliquot import document
from aliquot.access.core import people
from aliquot.access.core.people import Person
from aliquot.access.core.templates.template import Circle
from aliquot.document import Document

Bindings = Mapping[str, Circle]


class _Role(Struct, rename="camel"):
    groups: list[str] = []
    people: list[Person] = []


class _File(Struct, rename="camel"):
    roles: dict[str, _Role]


def parse_bindings(text: str, source: str) -> Bindings:
    """Raises DocumentError."""
    found = document.parse(text, source=source)
    return {word: _circle(found, word, role) for word, role in found.into(_File).roles.items()}


def _circle(found: Document, word: str, role: _Role) -> Circle:
    groups = []
    for index, text in enumerate(role.groups):
        try:
            groups.append(people.group(text))
        except ValueError as error:
            raise found.error(("roles", word, "groups", index), str(error)) from None
    for index, person in enumerate(role.people):
        if not (person.issuer and person.subject):
            raise found.error(("roles", word, "people", index), "an issuer and its subject are both needed")
    return Circle(groups=tuple(groups), people=tuple(role.people))
