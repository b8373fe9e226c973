"""Reports, for auditors and those who look after all. That one was drawn, and what came of it, is in the log before it is given out."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from aliquot.access.api import reading
from aliquot.access.api.door import Door
from aliquot.access.api.problems import Problem
from aliquot.access.broker import drafts
from aliquot.access.broker.around import Caller
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.log.checkpoints import Inconsistent
from aliquot.access.log.verify import Key
from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.document import Drawn, Head, as_json, draw
from aliquot.access.reports.forms.comma_separated import comma_separated
from aliquot.access.reports.period import Period, period
from aliquot.access.reports.sources.stored import material
from aliquot.access.store.reading import Reading
from aliquot.access.store.transaction import Transaction

_log = structlog.get_logger(__name__)

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{1,20}(Z|[+-][0-9]{2}:[0-9]{2}))?", re.ASCII)
PERIOD = {"from": _MOMENT, "to": _MOMENT}
CSV, LINES = "text/csv", "application/jsonl"
_CHUNK = 64 * 1024


class Reporting:
    def __init__(
        self, door: Door, *, origin: str, keys: Sequence[Key], sign: Callable[[], Awaitable[object]] | None
    ) -> None:
        """`keys`: of the log; none: it is not checked. `sign`: has the log as it is then signed; raises Inconsistent."""
        self._door = door
        self._origin = origin
        self._keys = keys
        self._sign = sign
        self._one_at_a_time = asyncio.Semaphore(1)
        """It reads for seconds, and others want the database too."""

    async def report(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        await self._may(caller)
        name = request.path_params["name"]
        if name not in REPORTS:
            raise Problem(404, "not-there", f"there is no such report; there are {', '.join(REPORTS)}")
        given = reading.query(request, PERIOD)
        if "from" not in given:
            raise Problem(422, "invalid", "'from' is missing: a day like 2026-11-01, or a moment")
        async with self._one_at_a_time:
            drawn = await self._drawn(name, given["from"], given.get("to", ""))
        try:
            await self._tell(drawn, caller)
            return _answer(drawn, request.headers.get("accept", ""))
        except BaseException:
            drawn.close()
            raise

    async def _may(self, caller: Caller) -> None:
        """Raises Problem."""
        if self._door.policy_to_end().may_have_reports(caller.identity):
            return
        no = Refused(f"{caller.person} is not of those who may have reports", Ground.FORBIDDEN)
        await self._door.broker.refuse("report", no, caller)

    async def _drawn(self, name: str, from_: str, to: str) -> Drawn:
        policy = self._door.policies.to_end()

        def work(tx: Reading) -> Drawn:
            of = _period(from_, to, tx.now_s)
            found = material(tx, of, origin=self._origin, keys=self._keys, policy=policy)
            return draw(REPORTS[name], found, of)

        return await self._door.store.read(work)

    async def _tell(self, drawn: Drawn, caller: Caller) -> None:
        def write(tx: Transaction) -> int:
            seq = tx.log.head().tree.size
            tx.append([drafts.of_report(drawn.head, caller, tx.now_s)])
            return seq

        entry = await self._door.store.write(write)
        if self._sign is not None:
            try:
                await self._sign()
            except Inconsistent as error:
                # Whoever reads it sees that nothing is signed over it; the report about the log says why.
                _log.error("report not signed", error=str(error))
        last = await self._door.store.read(lambda tx: tx.log.last_checkpoint())
        drawn.logged(entry, last.note if last is not None and last.size > entry else "")


def _period(from_: str, to: str, now_s: float) -> Period:
    try:
        return period(from_, to, now_s)
    except ValueError as error:
        raise Problem(422, "invalid", str(error)) from None


def _answer(drawn: Drawn, accept: str) -> Response:
    media = next((one for one in _accepted(accept) if one in (CSV, LINES)), "application/json")
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    if media == CSV:
        headers["Content-Disposition"] = f'attachment; filename="{_file_name(drawn.head)}.csv"'
    return StreamingResponse(_chunks(drawn, media), headers=headers, media_type=media)


def _accepted(accept: str) -> Iterator[str]:
    for one in accept.split(","):
        yield one.partition(";")[0].strip().lower()


def _file_name(head: Head) -> str:
    return f"{head.report}-{head.from_[:10]}-{head.to[:10]}"


def _chunks(drawn: Drawn, media: str) -> Iterator[bytes]:
    with drawn:
        pieces: Iterator[bytes]
        if media == CSV:
            pieces = (line.encode() for line in comma_separated(drawn.lines()))
        else:
            pieces = drawn.lines() if media == LINES else as_json(drawn.lines())
        gathered = bytearray()
        for piece in pieces:
            gathered += piece
            if len(gathered) >= _CHUNK:
                yield bytes(gathered)
                gathered.clear()
        yield bytes(gathered)
