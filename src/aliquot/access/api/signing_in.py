"""Users of this server's own: registering by invitation, sessions, and challenges for passkeys.

Who is not known yet learns of nobody whether they have an account, and what they try in vain is not written into the log: anybody could
fill it. What succeeds is.
"""

import secrets
from collections.abc import Callable
from typing import Annotated, TypeVar

import structlog
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aliquot.access.api import problems, reading
from aliquot.access.api.door import Door, written
from aliquot.access.api.problems import Problem
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Refused
from aliquot.access.identity.challenges import LOGIN, REGISTER, Purpose
from aliquot.access.identity.configuration import LocalUsers
from aliquot.access.identity.local import codes, passkeys, sessions
from aliquot.access.identity.local.passkeys import Credential, Options
from aliquot.access.identity.local.sessions import Opened
from aliquot.access.identity.proof import NotProven
from aliquot.access.identity.server_key import ServerKey
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.store.reading import Reading
from aliquot.access.store.transaction import Transaction
from aliquot.clock import rfc3339_milli

T = TypeVar("T")

_log = structlog.get_logger(__name__)
_Short = Annotated[str, Meta(min_length=1, max_length=255)]
_Long = Annotated[str, Meta(min_length=1, max_length=4096)]


class _Body(Struct, forbid_unknown_fields=True, rename="camel"):
    pass


class UserBody(_Body):
    subject: _Short


class ByCodeBody(UserBody):
    code: _Short


class ByPasskeyBody(UserBody):
    nonce: _Long
    credential: Credential


class ProofBody(_Body):
    act: _Short
    digest: _Short


class InvitedBody(_Body, kw_only=True):
    subject: _Short
    issuer: Annotated[str, Meta(max_length=255)] = ""
    """Left out: a user of this server's own."""
    secret: _Short


class PasskeyBody(InvitedBody, kw_only=True):
    nonce: _Long
    credential: Credential
    name: Annotated[str, Meta(max_length=63)] = ""


class CodesBody(InvitedBody, kw_only=True):
    sealed: _Long
    code: _Short


class SigningIn:
    def __init__(self, door: Door, key: ServerKey, local: LocalUsers) -> None:
        self._door = door
        self._key = key
        self._local = local

    def routes(self) -> list[Route]:
        post = ["POST"]
        return [
            Route("/v1/session:options", self.options, methods=post),
            Route("/v1/session:byCode", self.by_code, methods=post),
            Route("/v1/session:byPasskey", self.by_passkey, methods=post),
            Route("/v1/session:close", self.close, methods=post),
            Route("/v1/proof:options", self.proof_options, methods=post),
            Route("/v1/enrolment/passkey:options", self.passkey_options, methods=post),
            Route("/v1/enrolment/passkey", self.passkey, methods=post),
            Route("/v1/enrolment/codes:options", self.codes_options, methods=post),
            Route("/v1/enrolment/codes", self.codes, methods=post),
        ]

    async def options(self, request: Request) -> Response:
        said = await reading.body(request, UserBody)
        return written(await self._challenge(Purpose(Person(self._local.issuer, said.subject), LOGIN)))

    async def proof_options(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        said = await reading.body(request, ProofBody)
        if said.act in (LOGIN, REGISTER):
            raise Problem(422, "invalid", f"'act' is what is to be done to a request, not {said.act}")
        return written(await self._challenge(Purpose(caller.person, said.act, said.digest)))

    async def by_code(self, request: Request) -> Response:
        said = await reading.body(request, ByCodeBody)
        return await self._session(
            said.subject,
            "totp",
            lambda tx: sessions.by_code(tx, self._key, self._local, said.subject, said.code),
        )

    async def by_passkey(self, request: Request) -> Response:
        said = await reading.body(request, ByPasskeyBody)
        return await self._session(
            said.subject,
            "passkey",
            lambda tx: sessions.by_passkey(
                tx, self._key, self._local, said.subject, said.nonce, said.credential
            ),
        )

    async def close(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()

        def work(tx: Transaction) -> None:
            proof = sessions.close(tx, self._key, self._local, token)
            tx.append([_draft("session.closed", proof.person, proof.auth, proof.credential, tx.now_s)])

        try:
            await self._door.store.read(lambda tx: sessions.prove(tx, self._key, self._local, token))
            await reading.no_body(request)
            await self._door.store.write(work)
        except NotProven as error:
            raise Problem(401, "unauthenticated", str(error), {"WWW-Authenticate": "Bearer"}) from None
        return Response(status_code=204)

    async def passkey_options(self, request: Request) -> Response:
        said = await reading.body(request, InvitedBody)
        return await self._offered(
            said,
            lambda tx, person: passkeys.registration_options(
                tx, self._key, self._local, person, said.secret, secrets.token_bytes
            ),
        )

    async def passkey(self, request: Request) -> Response:
        said = await reading.body(request, PasskeyBody)
        return await self._registered(
            said,
            "passkey.registered",
            lambda tx, person: passkeys.register(
                tx,
                self._key,
                self._local,
                person,
                secret=said.secret,
                nonce=said.nonce,
                credential=said.credential,
                name=said.name,
            ),
        )

    async def codes_options(self, request: Request) -> Response:
        said = await reading.body(request, InvitedBody)
        return await self._offered(
            said, lambda tx, person: codes.offer(tx, self._key, person, said.secret, secrets.token_bytes)
        )

    async def codes(self, request: Request) -> Response:
        said = await reading.body(request, CodesBody)
        return await self._registered(
            said,
            "codes.registered",
            lambda tx, person: codes.register(
                tx, self._key, person, secret=said.secret, sealed=said.sealed, code=said.code
            ),
        )

    # --- what registering comes to, whatever is registered ---

    async def _offered(self, said: InvitedBody, offer: Callable[[Reading, Person], T | Refused]) -> Response:
        """Of which something is made that is registered."""
        person = self._person(said)
        return written(_taken(await self._door.store.read(lambda tx: offer(tx, person)), person))

    async def _registered(
        self, said: InvitedBody, action: str, register: Callable[[Transaction, Person], object]
    ) -> Response:
        person = self._person(said)
        await self._logged(action, person, "invitation", lambda tx: register(tx, person))
        return Response(status_code=204)

    def _person(self, said: InvitedBody) -> Person:
        return Person(said.issuer or self._local.issuer, said.subject)

    async def _challenge(self, purpose: Purpose) -> Options:
        return await self._door.store.read(
            lambda tx: passkeys.assertion_options(tx, self._key, self._local, purpose, secrets.token_bytes)
        )

    async def _session(
        self, subject: str, auth: str, opened: Callable[[Transaction], Opened | Refused]
    ) -> Response:
        person = Person(self._local.issuer, subject)
        found = await self._logged("session.opened", person, auth, opened)
        return written({"token": found.token, "expires": rfc3339_milli(found.until_s)}, 201)

    async def _logged(
        self, action: str, person: Person, auth: str, work: Callable[[Transaction], T | Refused]
    ) -> T:
        """What is done and its entry, or neither. What a failure leaves behind stays. Raises Problem."""

        def logged(tx: Transaction) -> T | Refused:
            found = work(tx)
            if not isinstance(found, Refused):
                credential = found.credential if isinstance(found, Opened) else ""
                tx.append([_draft(action, person, auth, credential, tx.now_s)])
            return found

        return _taken(await self._door.store.write(logged), person)


def _taken(found: T | Refused, person: Person) -> T:
    """Raises Problem."""
    if isinstance(found, Refused):
        _log.warning("somebody did not prove who they are", person=str(person), why=found.reason)
        raise problems.refused(found)
    return found


def _draft(action: str, person: Person, auth: str, credential: str, now_s: float) -> Draft:
    return Draft(time_s=now_s, actor=Actor(person.issuer, person.subject, auth, credential), action=action)
