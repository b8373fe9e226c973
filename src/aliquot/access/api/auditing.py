"""What clusters' audit logs say comes in here, each cluster with a token of its own; and what came of it is shown."""

import hmac
import re
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import reading
from aliquot.access.api.door import Door, written
from aliquot.access.api.problems import Problem
from aliquot.access.audit.events import items_of, plain, read_items
from aliquot.access.audit.intake import Intake, Taken
from aliquot.access.audit.use import summary
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import spell
from aliquot.access.outside.secrets import NoSecret, read_plain_keys

_log = structlog.get_logger(__name__)

MOST_BYTES = 10 << 20
FILTERS = {
    "cluster": re.compile(r"[a-z0-9.-]{1,253}", re.ASCII),
    "grant": re.compile(r"r[0-9a-z]{26}", re.ASCII),
    "limit": re.compile("[1-9][0-9]{0,2}", re.ASCII),
}
_AT_ONCE = 200
_MOST_NAMED = 20


class Auditing:
    def __init__(self, door: Door, intake: Intake, tokens: Mapping[str, str]) -> None:
        """`tokens`: for each cluster that delivers, the file with what it shows."""
        self._door = door
        self._intake = intake
        self._tokens = tokens

    async def take(self, request: Request) -> Response:
        cluster = request.path_params["name"]
        self._check(cluster, request)
        body = await reading.limited(request, MOST_BYTES)
        try:
            items = items_of(body)
        except ValueError as error:
            raise Problem(400, "malformed", str(error)) from None
        taken, unread = Taken(), []
        for first in range(0, max(1, len(items)), _AT_ONCE):
            events, wrong = read_items(items[first : first + _AT_ONCE], first=first)
            unread += wrong
            taken += await self._intake.take(cluster, events)
        if unread:
            _log.warning("audit events not read", cluster=cluster, events=len(unread), first=str(unread[0]))
        said: dict[str, Any] = spell(taken)
        return written({**said, "unread": [str(one) for one in unread[:_MOST_NAMED]]})

    async def use(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        here = await self._door.seen(reading.id_of(request), caller)
        life = here.life
        found = await self._door.store.read(
            lambda tx: spell(summary(life.id, life.request.rules, tx.audited.uses(life.id)))
        )
        return written(found)

    async def findings(self, request: Request) -> Response:
        """The latest first."""
        caller = await self._door.caller(request)
        if not self._door.policy_to_end().may_have_reports(caller.identity):
            no = Refused(f"{caller.person} is not of those who may see what was found", Ground.FORBIDDEN)
            await self._door.broker.refuse("findings", no, caller)
        asked = reading.query(request, FILTERS)
        found = await self._door.store.read(
            lambda tx: tx.audited.findings(
                most=int(asked.get("limit", "100")),
                cluster=asked.get("cluster", ""),
                grant=asked.get("grant"),
            )
        )
        return written({"items": [spell(one) for one in found]})

    def _check(self, cluster: str, request: Request) -> None:
        """Raises Problem. A cluster that is not known is told no more than one with a wrong token."""
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        path = self._tokens.get(cluster)
        if path is not None and scheme.lower() == "bearer":
            try:
                keys = read_plain_keys(path)
            except NoSecret as error:
                _log.error("audit events cannot be taken", cluster=cluster, error=str(error))
                raise Problem(
                    503,
                    "unavailable",
                    "what this cluster shows cannot be read here now",
                    {"Retry-After": "5"},
                ) from None
            given = sent.strip().encode("utf-8", "replace")
            if any(hmac.compare_digest(given, key) for key in keys):
                return
        _log.warning("audit events refused: no token of this cluster", cluster=plain(cluster))
        raise Problem(
            401,
            "unauthenticated",
            "show the token of this cluster's audit log",
            {"WWW-Authenticate": "Bearer"},
        )
