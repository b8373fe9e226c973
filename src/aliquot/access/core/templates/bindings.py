"""Who is who in an installation: the words that templates use for people, bound to the groups of identity providers.

roles:
  on-call:
    groups: ["https://login.example.com#sre-on-call"]
  security:
    groups: ["https://login.example.com#security"]
    people: [{issuer: "https://login.example.com", subject: "00u1a2b3"}]

A word that is not bound is nobody: may not ask, and fills no slot.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from aliquot import document
from aliquot.access.core import people
from aliquot.access.core.people import Person
from aliquot.access.core.quorum import Quorum, Slot
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
    return {word: _bound(found, word, role) for word, role in found.into(_File).roles.items()}


def circle(words: Iterable[str], bindings: Bindings) -> Circle:
    """Of all whom these words mean."""
    bound = [bindings[word] for word in words if word in bindings]
    return Circle(
        groups=tuple(dict.fromkeys(group for circle in bound for group in circle.groups)),
        people=tuple(dict.fromkeys(person for circle in bound for person in circle.people)),
    )


def quorum(slots: Iterable[Iterable[str]], distinct_groups: bool, bindings: Bindings) -> Quorum:
    circles = [circle(slot, bindings) for slot in slots]
    return Quorum(
        slots=tuple(Slot(groups=circle.groups, people=circle.people) for circle in circles),
        distinct_groups=distinct_groups,
    )


def _bound(found: Document, word: str, role: _Role) -> Circle:
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
