"""What is done about requests and grants. Whether somebody may is asked before what they send is read."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import reading
from aliquot.access.api.asking import Asking
from aliquot.access.api.door import Door, written
from aliquot.access.api.journaled import PATIENCE_S, journaled
from aliquot.access.broker.around import Caller
from aliquot.access.core.asked import Seconds
from aliquot.access.core.life import asking
from aliquot.access.core.life.events import Activate, Approve, Deny, Event, Judge, Return, Revoke, Withdraw
from aliquot.access.core.life.here import Here
from aliquot.access.core.life.life import Outcome
from aliquot.access.core.life.rights import may
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.clock import rfc3339
from aliquot.sql.failures import Unreachable


class _Body(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class ApproveBody(_Body, frozen=True, kw_only=True):
    digest: str
    """Of the request that they have seen."""


class DenyBody(_Body, frozen=True, kw_only=True):
    digest: str
    why: str


class RevokeBody(_Body, frozen=True, kw_only=True):
    why: str


class JudgeBody(_Body, frozen=True, kw_only=True):
    digest: str
    outcome: Outcome
    note: str
    ticket: str = ""


class ExtendBody(_Body, frozen=True, kw_only=True):
    duration_seconds: Seconds | None = None
    justification: str
    ticket: str = ""


Handler = Callable[[Request], Awaitable[Response]]


class Deciding:
    def __init__(self, door: Door, asking: Asking) -> None:
        self._door = door
        self._asking = asking

    async def approve(self, request: Request) -> Response:
        caller, here = await self._let_in(request, lambda by: Approve(by=by, digest=""))
        said = await reading.body(request, ApproveBody)
        caller = await self._door.proven(caller, request, "approve", said.digest)
        event = Approve(by=caller.person, digest=said.digest, step_up=caller.step_up)
        return await self._put(request, here, event, caller)

    async def deny(self, request: Request) -> Response:
        caller, here = await self._let_in(request, lambda by: Deny(by=by, digest="", why=""))
        said = await reading.body(request, DenyBody)
        return await self._put(
            request, here, Deny(by=caller.person, digest=said.digest, why=said.why), caller
        )

    async def revoke(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(PATIENCE_S):
                caller, here = await self._let_in(request, lambda by: Revoke(by=by, why=""))
        except (Unreachable, TimeoutError):
            return await self._revoke_in_outage(request, None)
        said = await reading.body(request, RevokeBody)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._put(request, here, Revoke(by=caller.person, why=said.why), caller)
        except (Unreachable, TimeoutError):
            return await self._revoke_in_outage(request, said)

    async def _revoke_in_outage(self, request: Request, said: RevokeBody | None) -> Response:
        caller = await self._door.caller_to_end(request)
        grant = reading.id_of(request)
        await self._door.outage.may_end(grant, caller)
        if said is None:
            said = await reading.body(request, RevokeBody)
        return journaled(await self._door.outage.revoke(grant, caller, said.why))

    async def give_back(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(PATIENCE_S):
                caller, here = await self._let_in(request, _return)
        except (Unreachable, TimeoutError):
            return await self._give_back_in_outage(request)
        await reading.no_body(request)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._put(request, here, _return(caller.person), caller)
        except (Unreachable, TimeoutError):
            return await self._give_back_in_outage(request)

    async def _give_back_in_outage(self, request: Request) -> Response:
        caller = await self._door.caller_to_end(request)
        return journaled(await self._door.outage.give_back(reading.id_of(request), caller))

    async def judge(self, request: Request) -> Response:
        caller, here = await self._let_in(
            request, lambda by: Judge(by=by, digest="", outcome=Outcome.INCONCLUSIVE, note="")
        )
        said = await reading.body(request, JudgeBody)
        event = Judge(
            by=caller.person, digest=said.digest, outcome=said.outcome, note=said.note, ticket=said.ticket
        )
        return await self._put(request, here, event, caller)

    def without_body(self, event_of: Callable[[Person], Withdraw | Activate]) -> Handler:
        async def handle(request: Request) -> Response:
            caller, here = await self._let_in(request, event_of)
            await reading.no_body(request)
            return await self._put(request, here, event_of(caller.person), caller)

        return handle

    async def extend(self, request: Request) -> Response:
        """A request of its own, for others to agree to."""
        caller = await self._door.caller(request)
        here = await self._door.seen(reading.id_of(request), caller, to="extend")
        if caller.person != here.life.holder:
            await self._door.broker.refuse(
                "extend", Refused("it is not yours", Ground.FORBIDDEN), caller, here.life
            )
        key = reading.idempotency_key(request)
        said = await reading.body(request, ExtendBody)
        asked = asking.extension(
            here.life,
            duration_s=said.duration_seconds,
            justification=said.justification,
            ticket=said.ticket,
        )
        return await self._asking.put(request, caller, asked, key)

    async def credential(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        here = await self._door.seen(reading.id_of(request), caller, to="credential")
        await reading.no_body(request)
        made = await self._door.broker.credential(here.life.id, caller)
        return written({"id": made.id, "token": made.token, "expires": rfc3339(made.expires_s)})

    async def _let_in(self, request: Request, event_of: Callable[[Person], Event]) -> tuple[Caller, Here]:
        caller = await self._door.caller(request)
        event = event_of(caller.person)
        here = await self._door.seen(reading.id_of(request), caller, to=event.name)
        if may(here, event):
            # The broker refuses it, and writes down that it did.
            await self._door.broker.put(here.life.id, event, caller)
        return caller, here

    async def _put(self, request: Request, here: Here, event: Event, caller: Caller) -> Response:
        version = reading.wanted_version(request)
        return self._door.answered(await self._door.broker.put(here.life.id, event, caller, version=version))


def _return(by: Person) -> Return:
    return Return(by=by)
