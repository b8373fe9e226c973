"""Who is known now. Of somebody with an issuer of their own: what it said last, for as long as that counts; it is not asked behind their
back. Of a local user: what is written here.

What was said later counts more, whoever comes first: who keeps an older token keeps no group that a newer one is without.
"""

import asyncio
from collections.abc import Iterable, Mapping

from aliquot.access.core.people import Identity, Person
from aliquot.access.identity import records
from aliquot.access.identity.book import Book, Reader, Writer
from aliquot.access.identity.configuration import IdentitySection
from aliquot.access.identity.groups_file import OwnGroups
from aliquot.access.identity.proof import NotProven, Proof
from aliquot.access.identity.records import Seen
from aliquot.sql.failures import Unreachable

_BOOK_WITHIN_S = 2.0
_OFF = "whose token this is has been switched off here: ask who looks after access"


class Directory:
    """A broker's People."""

    def __init__(self, book: Book, section: IdentitySection, own: OwnGroups) -> None:
        self._book = book
        self._issuers = section.issuers
        self._local = section.local.issuer if section.local is not None else ""
        self._known_for_s = float(section.known_for_seconds)
        self._own = own

    async def known(self, people: Iterable[Person]) -> Mapping[Person, Identity]:
        wanted = tuple(people)
        return await self._book.read(lambda tx: self._known(tx, wanted))

    async def heard(self, proof: Proof) -> Identity:
        """Who came, as is known now: of what their issuer said, the last. Raises NotProven: they are switched off."""
        if proof.person.issuer == self._local:
            return self._own.with_own(proof.identity)
        said = await self._book.read(lambda tx: self._said(tx, proof))
        if said is None:
            said = await self._book.write(lambda tx: self._write(tx, proof))
        return self._own.with_own(said)

    async def heard_alone(self, proof: Proof) -> Identity:
        """As their issuer says, where the book may not answer. Raises NotProven: they are switched off, as far as that can be told."""
        try:
            async with asyncio.timeout(_BOOK_WITHIN_S):
                await self._book.read(lambda tx: self._check_on(tx, proof.person))
        except (Unreachable, TimeoutError):
            pass
        return self._own.with_own(proof.identity)

    def _said(self, tx: Reader, proof: Proof) -> Identity | None:
        """None: it is to be written down."""
        self._check_on(tx, proof.person)
        before = records.seen(tx, proof.person)
        if before is None or proof.said_s > before.said_s:
            # Also where it says the same: what was issued in between and comes later must not count more.
            return None
        if proof.said_s < before.said_s or proof.identity == before.identity:
            return before.identity
        return None

    def _write(self, tx: Writer, proof: Proof) -> Identity:
        self._check_on(tx, proof.person)
        before = records.seen(tx, proof.person)
        if before is not None and proof.said_s < before.said_s:
            return before.identity
        records.put(tx, Seen(identity=proof.identity, said_s=proof.said_s))
        return proof.identity

    @staticmethod
    def _check_on(tx: Reader, person: Person) -> None:
        account = records.account(tx, person)
        if account is not None and account.is_off:
            raise NotProven(_OFF)

    def _known(self, tx: Reader, people: Iterable[Person]) -> dict[Person, Identity]:
        found = {
            person: identity for person in people if (identity := self._identity(tx, person)) is not None
        }
        return {person: self._own.with_own(identity) for person, identity in found.items()}

    def _identity(self, tx: Reader, person: Person) -> Identity | None:
        account = records.account(tx, person)
        if account is not None and account.is_off:
            return None
        if person.issuer == self._local:
            return account.identity if account is not None else None
        if person.issuer not in self._issuers:
            return None
        said = records.seen(tx, person)
        if said is None or tx.now_s >= said.said_s + self._known_for_s:
            return None
        return said.identity
