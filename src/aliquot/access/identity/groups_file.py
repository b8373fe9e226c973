"""Groups of this server's own, and who acts for whom, where no issuer says so:

groups:
  reviewers: [{issuer: "https://login.example.com", subject: 00u1a2b3}]   # known as ISSUER_OF_LOCAL_USERS#reviewers
delegates:
- {person: {issuer: "https://login.example.com", subject: pa}, actsFor: [{issuer: "https://login.example.com", subject: chief}]}

Only who is known is in a group: the file makes nobody known. Groups of an identity provider are for it to say.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from aliquot import document
from aliquot.access.core.people import Group, Identity, Person


class _Delegate(Struct, rename="camel"):
    person: Person
    acts_for: list[Person]


class _File(Struct, rename="camel"):
    groups: dict[str, list[Person]] = {}
    delegates: list[_Delegate] = []


class OwnGroups(Struct, frozen=True):
    groups: Mapping[Person, frozenset[Group]] = {}
    acts_for: Mapping[Person, frozenset[Person]] = {}

    def with_own(self, identity: Identity) -> Identity:
        person = identity.person
        return replace(
            identity,
            groups=identity.groups | self.groups.get(person, frozenset()),
            acts_for=identity.acts_for | self.acts_for.get(person, frozenset()),
        )


def parse_groups(text: str, source: str, own_issuer: str) -> OwnGroups:
    """Raises DocumentError."""
    found = document.parse(text, source=source)
    file = found.into(_File)
    if file.groups and not own_issuer:
        raise found.error(
            ("groups",), "groups of this server's own need its name: configure identity.local.issuer"
        )
    groups: dict[Person, frozenset[Group]] = {}
    for name, members in file.groups.items():
        if not name or "#" in name:
            raise found.error(
                ("groups", name), f"{name!r} is a name alone: the issuer before it is {own_issuer}"
            )
        for person in members:
            groups[person] = groups.get(person, frozenset()) | {Group(f"{own_issuer}#{name}")}
    acts_for: dict[Person, frozenset[Person]] = {}
    for number, delegate in enumerate(file.delegates):
        if delegate.person in acts_for:
            raise found.error(("delegates", number), f"{delegate.person} is there twice")
        if delegate.person in delegate.acts_for:
            raise found.error(("delegates", number), f"{delegate.person} acts for themselves anyway")
        acts_for[delegate.person] = frozenset(delegate.acts_for)
    return OwnGroups(groups, acts_for)
