"""Who calls, what they may see, and what handlers share."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import problems
from aliquot.access.api.problems import Problem
from aliquot.access.broker.around import Caller, Policies
from aliquot.access.broker.broker import Broker, No
from aliquot.access.broker.outage import InOutage, Outage
from aliquot.access.core.life.here import Here
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.rights import may_see
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.policy import Policy
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import spell
from aliquot.access.store.store import Store

_NONE_FOR_THEM = Refused("there is no request of this id that they may see", Ground.FORBIDDEN)

CLUSTER_HEADER = "aliquot-cluster"
"""Whose API server knows the token; without it the token says who issued it."""
PROOF_HEADER = "aliquot-proof"
"""base64url of JSON: `{"type": "totp", "code": "123456"}`, or a passkey's assertion."""


class Authenticator(Protocol):
    """Both read headers alone: nobody's body is read before it is known who they are."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller | Refused:
        """Who calls, without any fresh proof."""
        ...

    async def authenticate_to_end(self, headers: Mapping[str, str]) -> Caller | Refused:
        """Who calls, by what can be told without the database: good for ending, and for nothing else."""
        ...

    async def proven(
        self, caller: Caller, headers: Mapping[str, str], act: str, digest: str
    ) -> Caller | Refused:
        """The caller with the fresh proof that the headers bring, if it is one for this act (`ask`, `approve`) on just this digest."""
        ...


class Reachable(Struct, frozen=True, rename="camel"):
    """A cluster, as its users reach it."""

    name: str
    server: str
    certificate_authority: str
    """PEM; empty: one that everybody trusts."""


@dataclass
class Door:
    broker: Broker
    store: Store
    policies: Policies
    authenticator: Authenticator
    clusters: Mapping[str, Reachable] = field(default_factory=dict)
    random: Callable[[int], bytes] = secrets.token_bytes
    outage: Outage = field(kw_only=True)

    async def caller(self, request: Request) -> Caller:
        """Raises Problem."""
        return self._let_in(await self.authenticator.authenticate(request.headers))

    async def caller_to_end(self, request: Request) -> Caller:
        """Who calls to end something while the database is gone. Raises Problem."""
        return self._let_in(await self.authenticator.authenticate_to_end(request.headers))

    @staticmethod
    def _let_in(found: Caller | Refused) -> Caller:
        if isinstance(found, Refused):
            if found.ground is Ground.UNKNOWN:
                raise problems.refused(found)
            raise Problem(401, "unauthenticated", found.reason, {"WWW-Authenticate": "Bearer"})
        return found

    async def overseer(self, request: Request, what: str, why: str) -> Caller:
        """Somebody who looks after all. `what` they want, and `why` others may not, as the log has it. Raises Problem."""
        caller = await self.caller(request)
        if not self.policy_to_end().security.has(caller.identity):
            await self.broker.refuse(what, Refused(f"{caller.person} {why}", Ground.FORBIDDEN), caller)
        return caller

    async def proven(self, caller: Caller, request: Request, act: str, digest: str) -> Caller:
        """Raises Problem."""
        found = await self.authenticator.proven(caller, request.headers, act, digest)
        if isinstance(found, Refused):
            raise problems.refused(found)
        return found

    def policy(self) -> Policy:
        """Raises Problem."""
        found = self.policies.now()
        if found is None:
            raise problems.refused(
                Refused("it is not known what templates there are now: its files are broken", Ground.UNKNOWN)
            )
        return found

    def policy_to_end(self) -> Policy:
        """Raises Problem."""
        return self.policies.to_end() or self.policy()

    async def seen(self, life_id: str, caller: Caller, *, to: str = "") -> Here:
        """A request as this caller sees it. `to`: what they are about to do, of which the log is told if there is none for them.
        Raises Problem."""
        life, now_s = await self.store.read(lambda tx: (tx.life(life_id), tx.now_s))
        if life is not None and may_see(here := self.here(life, now_s, caller), caller.person):
            return here
        if to:
            # Alike whether there is one or not, as is what they are told.
            with suppress(No):
                await self.broker.refuse(to, _NONE_FOR_THEM, caller, life)
        raise problems.not_there()

    def here(self, life: Life, now_s: float, caller: Caller) -> Here:
        around = Surroundings(policy=self.policies.to_end(), identities={caller.person: caller.identity})
        return Here(life, now_s, around)

    def ended_in_outage(self, life: Life) -> InOutage | None:
        return self.outage.ended(life.id) if life.over_at_s is None else None

    def shown(self, life: Life) -> dict[str, Any]:
        """A request as it is answered: as the log spells it, its id first, and what the database does not know of it yet."""
        ended = self.ended_in_outage(life)
        return {
            "id": life.id,
            **spell(life),
            "reviewState": life.review.state if life.review is not None else "none",
            "endedInOutage": spell(ended) if ended is not None else None,
        }

    def answered(self, life: Life, status: int = 200) -> Response:
        # What was ended here is of the same version as before.
        headers = {"ETag": f'"{life.version}"'} if self.ended_in_outage(life) is None else {}
        if status == 201:
            headers["Location"] = f"/v1/requests/{life.id}"
        return written(self.shown(life), status, headers)


def written(found: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # What is in it may be what somebody wrote, and changes.
    kept = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(msgspec.json.encode(found), status, headers=kept, media_type="application/json")
