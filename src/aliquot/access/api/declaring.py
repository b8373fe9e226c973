"""Requests as Terraform and its like have them: under an id that the caller chose, there or not there. Saying so again changes nothing."""

from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import reading
from aliquot.access.api.asking import digest_of
from aliquot.access.api.door import Door
from aliquot.access.api.problems import Problem
from aliquot.access.broker.around import Caller
from aliquot.access.broker.broker import Moved
from aliquot.access.core import requests
from aliquot.access.core.asked import AskBody, difference
from aliquot.access.core.life.events import Return, Withdraw
from aliquot.access.core.life.here import Here
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.rights import may
from aliquot.access.core.life.stages import FINAL, RUNNING, Stage
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import Ask

_ID_WITHIN_S = 86_400
"""Requests are listed by their ids, so nobody puts one far behind or before all others."""
_TRIES = 5


class Declaring:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def put(self, request: Request) -> Response:
        """There from now on. A request never changes: what differs is another request."""
        caller = await self._door.caller(request)
        life_id = request.path_params["id"]
        if not requests.is_id(life_id):
            raise Problem(422, "invalid", "that is no id: choose `r` and a ULID in lower case")
        asked = reading.said(await reading.body(request, AskBody))
        life, now_s = await self._door.store.read(lambda tx: (tx.life(life_id), tx.now_s))
        if life is None:
            return await self._new(request, caller, life_id, asked, now_s)
        await self._same(caller, life, asked)
        if request.headers.get("if-none-match") in ("*", f'"{life.version}"'):
            raise Problem(412, "moved", f"it is there already, of version {life.version}")
        _wanted(request, life)
        return self._door.answered(life)

    async def _new(
        self, request: Request, caller: Caller, life_id: str, asked: Ask, now_s: float
    ) -> Response:
        if "if-match" in request.headers:
            raise Problem(412, "moved", "there is none of this id yet: leave If-Match out to ask for it")
        if abs(requests.made_at_s(life_id) - now_s) > _ID_WITHIN_S:
            raise Problem(422, "invalid", "the time in a new id is that of today: take a new ULID")
        caller = await self._door.proven(caller, request, "ask", digest_of(asked))
        made = await self._door.broker.ask(asked, caller, request_id=life_id)
        # Somebody may have been faster.
        await self._same(caller, made, asked)
        return self._door.answered(made, 201)

    async def _same(self, caller: Caller, life: Life, asked: Ask) -> None:
        """Raises No."""
        if life.holder != caller.person:
            no = Refused("this id is taken: choose another", Ground.CONFLICT)
            await self._door.broker.refuse("ask", no, caller, life)
        if differs := difference(asked, life.request):
            no = Refused(f"a request never changes: {differs}; ask under another id", Ground.CONFLICT)
            await self._door.broker.refuse("ask", no, caller, life)

    async def delete(self, request: Request) -> Response:
        """Not there any more: withdrawn before it has begun, returned after. What is over is left as it is."""
        caller = await self._door.caller(request)
        for _ in range(_TRIES):
            here = await self._door.seen(reading.id_of(request), caller, to="withdraw")
            if no := may(here, Withdraw(by=caller.person)):
                await self._door.broker.refuse("withdraw", no, caller, here.life)
            await reading.no_body(request)
            wanted = _wanted(request, here.life)
            try:
                return self._door.answered(await self._end(here, caller))
            except Moved:
                if wanted is not None:
                    raise
        raise Problem(409, "conflict", "others change it at the same time: try again")

    async def _end(self, here: Here, caller: Caller) -> Life:
        life = here.life
        if life.stage in FINAL or life.stage is Stage.ENDING:
            return life
        by = caller.person
        event = Return(by=by) if life.stage in RUNNING else Withdraw(by=by)
        return await self._door.broker.put(life.id, event, caller, version=life.version)


def _wanted(request: Request, life: Life) -> int | None:
    """Raises Moved."""
    wanted = reading.wanted_version(request)
    if wanted not in (None, life.version):
        raise Moved(f"it is of version {life.version} by now, not {wanted}: look at it again")
    return wanted
