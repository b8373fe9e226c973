"""Who somebody is: an issuer and what it calls them. Names and e-mail addresses are for people to read, and decide nothing."""

from typing import NewType

from msgspec import Struct

Group = NewType("Group", str)
"""`ISSUER#NAME`, compared whole: `/tenant/admin` of one issuer is neither `admin` nor another issuer's `/tenant/admin`."""


class Person(Struct, frozen=True, order=True, rename="camel"):
    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{self.issuer}#{self.subject}"


class Identity(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A person as their issuer knows them at this moment."""

    person: Person
    groups: frozenset[Group] = frozenset()
    acts_for: frozenset[Person] = frozenset()
    """Whose delegate they are: in their stead they would agree to what those asked for."""
    name: str = ""
    email: str = ""


def group(text: str) -> Group:
    """Raises ValueError: it names no issuer, or no group."""
    issuer, separator, name = text.partition("#")
    if not (issuer and separator and name):
        raise ValueError(f"{text!r} is no group: write ISSUER#NAME, like https://login.example.com#sre")
    return Group(text)
