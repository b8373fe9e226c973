"""Who somebody is, put together: tokens of issuers, clusters and local users, and fresh proofs in a header of their own."""

import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from msgspec.structs import replace

from aliquot import document
from aliquot.access.api.door import CLUSTER_HEADER, PROOF_HEADER, Door
from aliquot.access.api.signing_in import SigningIn
from aliquot.access.broker.around import Caller
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity import server_key
from aliquot.access.identity.bearers import Bearers
from aliquot.access.identity.challenges import Purpose
from aliquot.access.identity.configuration import IdentitySection
from aliquot.access.identity.directory import Directory
from aliquot.access.identity.groups_file import OwnGroups, parse_groups
from aliquot.access.identity.kubernetes import ClusterTokens
from aliquot.access.identity.oidc.tokens import OidcTokens
from aliquot.access.identity.proof import IssuerSilent, NotProven, Proof
from aliquot.access.identity.server_key import ServerKey
from aliquot.access.identity.step_up import ByCode, ByPasskey, of_sign_in, step_up
from aliquot.access.identity.web import Https
from aliquot.access.serving.https import CannotServe
from aliquot.access.store.store import Store
from aliquot.clock import Clock
from aliquot.kube.client import Client
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_LONGEST_PROOF = 8192


class _Prove(Protocol):
    async def __call__(self, token: str, *, cluster: str = "") -> Proof: ...


class Who:
    """The API's Authenticator, and the broker's People."""

    def __init__(
        self, section: IdentitySection, key: ServerKey, store: Store, bearers: Bearers, directory: Directory
    ) -> None:
        self._section = section
        self.key = key
        self._store = store
        self._bearers = bearers
        self._directory = directory
        self._sign_ins = {one.issuer: one.step_up for one in section.oidc}

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        section: IdentitySection,
        base: Path,
        store: Store,
        clusters: Mapping[str, Client],
        clock: Clock,
    ) -> AsyncIterator["Who"]:
        """Raises CannotServe and DocumentError."""
        try:
            key = server_key.load(base / section.key_file)
        except server_key.Unusable as error:
            raise CannotServe(str(error)) from error
        for one in section.kubernetes:
            if one.cluster not in clusters:
                raise CannotServe(
                    f"identity.kubernetes names cluster '{one.cluster}', which is not among 'clusters'"
                )
        own = OwnGroups()
        if section.groups_file:
            path = base / section.groups_file
            issuer = section.local.issuer if section.local is not None else ""
            own = parse_groups(document.read(path), str(path), issuer)
        directory = Directory(store, section, own)
        async with AsyncExitStack() as stack:
            oidc = []
            for each in section.oidc:
                web = Https(document.read(base / each.authority_file) if each.authority_file else "")
                stack.push_async_callback(web.close)
                oidc.append(OidcTokens(each, web, clock=clock))
            tokens = {one.cluster: ClusterTokens(one, clusters[one.cluster]) for one in section.kubernetes}
            bearers = Bearers(store, directory, key, local=section.local, oidc=oidc, clusters=tokens)
            yield cls(section, key, store, bearers, directory)

    def signing_in(self, door: Door) -> SigningIn | None:
        """None: there are no users of this server's own."""
        local = self._section.local
        return SigningIn(door, self.key, local) if local is not None else None

    async def known(self, people: Iterable[Person]) -> Mapping[Person, Identity]:
        return await self._directory.known(people)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller | Refused:
        proof = await self._proof(headers, self._bearers.prove)
        if isinstance(proof, Refused):
            return proof
        return replace(_caller(proof), step_up=await self._signed_in(proof))

    async def authenticate_to_end(self, headers: Mapping[str, str]) -> Caller | Refused:
        try:
            proof = await self._proof(headers, self._bearers.prove_alone)
        except Unreachable:
            return Refused(
                "users of this server's own are in the database, which does not answer: without it nobody can tell who they are",
                Ground.UNKNOWN,
            )
        return proof if isinstance(proof, Refused) else _caller(proof)

    async def _proof(self, headers: Mapping[str, str], prove: _Prove) -> Proof | Refused:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return Refused("who are you? send Authorization: Bearer TOKEN", Ground.FORBIDDEN)
        try:
            return await prove(token.strip(), cluster=headers.get(CLUSTER_HEADER, ""))
        except IssuerSilent as error:
            _log.warning("nobody could say who somebody is", why=str(error), detail=error.detail)
            return Refused(str(error), Ground.UNKNOWN)
        except NotProven as error:
            _log.warning("somebody did not prove who they are", why=str(error), detail=error.detail)
            return Refused(str(error), Ground.FORBIDDEN)

    async def _signed_in(self, proof: Proof) -> StepUpLevel:
        accepted = self._sign_ins.get(proof.person.issuer)
        if accepted is None or (accepted.totp is None and accepted.webauthn is None):
            return StepUpLevel.NONE
        return of_sign_in(proof, accepted, await self._store.read(lambda tx: tx.now_s))

    async def proven(
        self, caller: Caller, headers: Mapping[str, str], act: str, digest: str
    ) -> Caller | Refused:
        text = headers.get(PROOF_HEADER, "")
        if not text:
            return caller
        local = self._section.local
        if local is None:
            return Refused(
                "this server knows no passkeys and no codes: leave the proof out", Ground.FORBIDDEN
            )
        given = _read(text)
        if given is None:
            return Refused(f"{PROOF_HEADER} is no proof: base64url of JSON with its type", Ground.INVALID)
        purpose = Purpose(caller.person, act, digest)
        found = await self._store.write(lambda tx: step_up(tx, self.key, local, purpose, given))
        if isinstance(found, Refused):
            return found
        return replace(caller, step_up=max(found, caller.step_up, key=lambda one: one.rank))


def _caller(proof: Proof) -> Caller:
    return Caller(identity=proof.identity, auth=proof.auth, credential=proof.credential)


def _read(text: str) -> ByCode | ByPasskey | None:
    if len(text) > _LONGEST_PROOF:
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        found: ByCode | ByPasskey = msgspec.json.decode(data, type=ByCode | ByPasskey)
    except (ValueError, msgspec.DecodeError):
        return None
    return found
