"""For those who look after all: the kill switch and the log; and where clusters are."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from aliquot.access.api import reading
from aliquot.access.api.door import Door, written
from aliquot.access.api.journaled import PATIENCE_S, journaled
from aliquot.access.api.problems import Problem
from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.people import Person
from aliquot.access.core.quorum import may_approve
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import spell
from aliquot.access.log.dump import dump
from aliquot.access.log.evidence import prove
from aliquot.access.log.witness.request import asking
from aliquot.access.store.reading import Reading
from aliquot.sql.failures import Unreachable

SEEN = {"from": re.compile("0|[1-9][0-9]{0,17}", re.ASCII)}
ENTRY = {"entry": re.compile("0|[1-9][0-9]{0,17}", re.ASCII)}
PERSONAL = {"personal": re.compile("true|false")}
_CHUNK = 256 * 1024
_NOBODY = Person("", "")
_SPOOLED = 4 * 1024 * 1024


class PullBody(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    why: str


class ClearBody(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pull: int
    """The `pulls` that they have seen."""


class Overseeing:
    def __init__(self, door: Door, *, origin: str) -> None:
        self._door = door
        self._origin = origin

    # --- the kill switch ---

    async def switch(self, request: Request) -> Response:
        await self._door.caller(request)
        return self._shown(await self._door.store.read(lambda tx: tx.switch))

    async def pull(self, request: Request) -> Response:
        key = reading.idempotency_key(request) or self._door.random(16).hex()
        try:
            async with asyncio.timeout(PATIENCE_S):
                caller = await self._door.overseer(
                    request, "pulled", "is not of those who may pull the kill switch"
                )
        except (Unreachable, TimeoutError):
            return await self._pull_in_outage(request, key, None)
        said = await reading.body(request, PullBody)
        pull_id = f"{caller.person}/{key}"
        try:
            return self._shown(
                await self._door.broker.pull(caller, said.why, pull_id=pull_id, within_s=PATIENCE_S)
            )
        except (Unreachable, TimeoutError):
            return await self._pull_in_outage(request, key, said)

    async def _pull_in_outage(self, request: Request, key: str, said: PullBody | None) -> Response:
        caller = await self._door.caller_to_end(request)
        self._door.outage.may_pull(caller)
        if said is None:
            said = await reading.body(request, PullBody)
        return journaled(await self._door.outage.pull(caller, said.why, pull_id=f"{caller.person}/{key}"))

    async def clear(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        if may_approve(caller.identity, _NOBODY, self._door.policy().clearing):
            no = Refused(f"{caller.person} is not of those who may clear the kill switch", Ground.FORBIDDEN)
            await self._door.broker.refuse("clearing", no, caller)
        said = await reading.body(request, ClearBody)
        return self._shown(await self._door.broker.clear(caller, pull=said.pull))

    def _shown(self, switch: KillSwitch) -> Response:
        """With what the database does not know of it yet."""
        here = self._door.outage.pulled() if not switch.is_pulled else None
        if here is not None:
            switch = replace(
                switch, is_pulled=True, pulled_by=here.by, pulled_at_s=here.at_s, why=here.why, clearing=()
            )
        found: dict[str, Any] = spell(switch)
        found.pop("pullId")
        return written({**found, "pulledInOutage": spell(here) if here is not None else None})

    # --- the log ---

    async def checkpoint(self, request: Request) -> Response:
        await self._door.caller(request)
        last = await self._door.store.read(lambda tx: tx.log.last_checkpoint())
        if last is None:
            raise Problem(404, "not-there", "the log has not been signed yet")
        return Response(last.note, media_type="text/plain")

    async def proof(self, request: Request) -> Response:
        """That an entry is in the log (c2sp.org/tlog-proof): it says nothing of what is in the entry."""
        await self._door.caller(request)
        given = reading.query(request, ENTRY)
        if "entry" not in given:
            raise Problem(422, "invalid", "'entry' is missing: the entry's seq")

        def work(tx: Reading) -> str | None:
            last = tx.log.last_checkpoint()
            seq = int(given["entry"])
            return prove(tx.log, seq, last.note) if last is not None and seq < last.size else None

        found = await self._door.store.read(work)
        if found is None:
            raise Problem(404, "not-there", "no signed checkpoint has that entry yet")
        return Response(found, media_type="text/plain")

    async def consistency(self, request: Request) -> Response:
        """That the log goes on from what somebody has seen of it, as a witness is asked (c2sp.org/tlog-witness)."""
        await self._door.caller(request)
        given = reading.query(request, SEEN)
        if "from" not in given:
            raise Problem(
                422, "invalid", "'from' is missing: how many entries the checkpoint has that you kept"
            )
        seen = int(given["from"])

        def work(tx: Reading) -> bytes | None:
            last = tx.log.last_checkpoint()
            return asking(tx.log, last.note, seen) if last is not None and seen <= last.size else None

        found = await self._door.store.read(work)
        if found is None:
            raise Problem(404, "not-there", "no signed checkpoint has as many entries yet")
        return Response(found, media_type="text/plain")

    async def dump(self, request: Request) -> Response:
        """All of it, for `aliquot access log verify`."""
        await self._door.overseer(request, "reading", "is not of those who may read all of the log")
        given = reading.query(request, PERSONAL)
        with_personal = given.get("personal", "true") == "true"
        file = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115  # closed when it has been sent

        def work(tx: Reading) -> None:
            for line in dump(tx.log, self._origin, tx.log.head().tree.size, with_personal=with_personal):
                file.write(line)

        try:
            # On disk first: however slowly somebody reads, they keep nobody from the database.
            await self._door.store.read_long(work)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return StreamingResponse(_lines(file), media_type="application/jsonl")

    # --- clusters ---

    async def cluster(self, request: Request) -> Response:
        await self._door.caller(request)
        found = self._door.clusters.get(request.path_params["name"])
        if found is None:
            raise Problem(404, "not-there", "there is no such cluster")
        return written(msgspec.to_builtins(found))


async def _lines(file: "IO[bytes]") -> AsyncIterator[bytes]:
    try:
        while chunk := await run_in_threadpool(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()
