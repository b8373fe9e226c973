"""A server with users of its own, and what they do at it."""

import secrets
from typing import Any

import pyotp

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Refused
from aliquot.access.identity import records
from aliquot.access.identity.challenges import LOGIN, Purpose
from aliquot.access.identity.configuration import LocalUsers
from aliquot.access.identity.local import accounts, codes, passkeys, sessions
from aliquot.access.identity.records import Account
from aliquot.access.identity.server_key import ServerKey
from aliquot.access.store.store import Store
from tests.access.identity.authenticator import Authenticator
from tests.access.identity.provider import Clock

ORIGIN = "https://access.example.com"
PARTY = LocalUsers(issuer=ORIGIN, relying_party="access.example.com", origins=(ORIGIN,))
ANN, BEN = Person(ORIGIN, "ann"), Person(ORIGIN, "ben")
KEY = ServerKey(bytes(range(32)))


class Laptop:
    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def add(self, person: Person = ANN, groups: tuple[str, ...] = ("leads",)) -> str:
        secret = await self.store.write(
            lambda tx: accounts.add(
                tx, person, local_issuer=ORIGIN, groups=groups if person.issuer == ORIGIN else ()
            )
        )
        assert isinstance(secret, str)
        return secret

    async def account(self, person: Person = ANN) -> Account:
        found = await self.store.read(lambda tx: records.account(tx, person))
        assert found is not None
        return found

    async def register(
        self, secret: str, authenticator: Authenticator, person: Person = ANN
    ) -> Account | Refused:
        options = await self.store.read(
            lambda tx: passkeys.registration_options(tx, KEY, PARTY, person, secret, secrets.token_bytes)
        )
        if isinstance(options, Refused):
            return options
        credential = authenticator.create(options.public_key)
        return await self.store.write(
            lambda tx: passkeys.register(
                tx,
                KEY,
                PARTY,
                person,
                secret=secret,
                nonce=options.nonce,
                credential=credential,
                name="key",
            )
        )

    async def with_passkey(self, person: Person = ANN) -> Authenticator:
        authenticator = Authenticator(ORIGIN)
        assert isinstance(await self.register(await self.add(person), authenticator, person), Account)
        return authenticator

    async def with_codes(self, person: Person = ANN) -> pyotp.TOTP:
        secret = await self.add(person)
        offer = await self.store.read(lambda tx: codes.offer(tx, KEY, person, secret, secrets.token_bytes))
        assert isinstance(offer, codes.Offer)
        app = pyotp.parse_uri(offer.uri)
        assert isinstance(app, pyotp.TOTP)
        code = app.at(int(self.clock.now_s))
        done = await self.store.write(
            lambda tx: codes.register(tx, KEY, person, secret=secret, sealed=offer.sealed, code=code)
        )
        assert isinstance(done, Account)
        return app

    async def options(self, purpose: Purpose) -> passkeys.Options:
        return await self.store.read(
            lambda tx: passkeys.assertion_options(tx, KEY, PARTY, purpose, secrets.token_bytes)
        )

    async def assert_(self, purpose: Purpose, nonce: str, credential: dict[str, Any]) -> Account | Refused:
        return await self.store.write(
            lambda tx: passkeys.asserted(tx, KEY, PARTY, purpose, nonce, credential)
        )

    async def code(self, code: str, person: Person = ANN) -> Account | Refused:
        return await self.store.write(lambda tx: codes.checked(tx, KEY, person, code))

    async def log_in(self, authenticator: Authenticator, person: Person = ANN) -> str | Refused:
        options = await self.options(Purpose(person, LOGIN))
        credential = authenticator.get(options.public_key)
        opened = await self.store.write(
            lambda tx: sessions.by_passkey(tx, KEY, PARTY, person.subject, options.nonce, credential)
        )
        return opened.token if isinstance(opened, sessions.Opened) else opened
