"""What ticket systems send by themselves: known by its signature, whoever carries it. It does no more than somebody could who asks.

A delivery that comes again comes to the same: what it asks for keeps the id that it had the first time.
"""

import hashlib
from collections.abc import Mapping

import structlog
from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import problems, reading
from aliquot.access.api.door import Door, written
from aliquot.access.api.problems import Problem
from aliquot.access.broker.around import Caller, People
from aliquot.access.core import requests
from aliquot.access.core.life.events import Look
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.outside.secrets import NoSecret
from aliquot.access.store.reading import Answer, Reading
from aliquot.access.store.transaction import Transaction
from aliquot.access.tickets.incoming.asking import Asked
from aliquot.access.tickets.incoming.contents import TicketChanged, contents
from aliquot.access.tickets.incoming.deliveries import MOST_BYTES, Delivery, Hook, hook_of, receive
from aliquot.access.tickets.incoming.settings import HookSettings, RafaySettings

_log = structlog.get_logger(__name__)


class Hooks:
    def __init__(
        self, door: Door, people: People, settings: Mapping[str, HookSettings], rafay: RafaySettings | None
    ) -> None:
        self._door = door
        self._people = people
        self._settings = settings
        self._rafay = rafay

    async def take(self, request: Request) -> Response:
        hook = self._hook(request.path_params["name"])
        body = await reading.limited(request, MOST_BYTES)
        now_s = await self._door.store.read(lambda tx: tx.now_s)
        delivery = receive(hook, dict(request.headers), body, now_s)
        if isinstance(delivery, Refused):
            raise _refused(hook, delivery)
        found = contents(delivery, self._rafay, now_s)
        if isinstance(found, Refused):
            raise _refused(hook, found)
        made = [
            await self._ask(delivery, number, one)
            for number, one in enumerate(found)
            if isinstance(one, Asked)
        ]
        changed = frozenset(one.ticket for one in found if isinstance(one, TicketChanged))
        return written({"requests": made, "lookedAt": await self._look(delivery, changed) if changed else 0})

    def _hook(self, name: str) -> Hook:
        """Raises Problem."""
        settings = self._settings.get(name)
        if settings is None:
            raise Problem(404, "not-there", "there is no such hook")
        try:
            return hook_of(name, settings)
        except NoSecret as error:
            _log.error("a hook cannot be verified", hook=name, error=str(error))
            raise Problem(503, "unavailable", "what it is signed with cannot be read here now") from None

    async def _ask(self, delivery: Delivery, number: int, asked: Asked) -> str:
        """The request's id."""
        identity = (await self._people.known([asked.person])).get(asked.person)
        if identity is None:
            raise problems.refused(
                Refused(
                    f"{asked.person} is not known to their issuer now: have them sign in first",
                    Ground.UNKNOWN,
                )
            )
        caller = Caller(identity=identity, auth=f"webhook {delivery.hook}", credential=_digest(delivery.key))
        request_id = await self._door.store.write(lambda tx: self._kept_id(tx, delivery, number))
        return (await self._door.broker.ask(asked.ask, caller, request_id=request_id)).id

    def _kept_id(self, tx: Transaction, delivery: Delivery, number: int) -> str:
        whose, key = f"hook {delivery.hook}", _digest(f"{delivery.key}/{number}")
        if (there := tx.answer(whose, key)) is not None:
            return there.body.decode()
        made = requests.new_id(tx.now_s, self._door.random(requests.RANDOM_BYTES))
        tx.remember(whose, key, Answer("", 200, made.encode()), until_s=delivery.until_s)
        return made

    async def _look(self, delivery: Delivery, tickets: frozenset[str]) -> int:
        """At whatever is open with these tickets. Whoever dies in between has it looked at within the minute anyway."""
        whose, key = f"hook {delivery.hook}", _digest(delivery.key)
        if not await self._door.store.write(lambda tx: tx.use_up(whose, key, until_s=delivery.until_s)):
            return 0
        ids = await self._door.store.read(lambda tx: _with(tx, tickets))
        for one in ids:
            await self._door.broker.put(one, Look(), None)
        return len(ids)


def _with(tx: Reading, tickets: frozenset[str]) -> list[str]:
    lives = (tx.life(one) for one in tx.open_ids())
    return [life.id for life in lives if life is not None and life.request.ticket in tickets]


def _refused(hook: Hook, no: Refused) -> Problem:
    _log.warning("a delivery is refused", hook=hook.name, why=no.reason)
    return problems.refused(no)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
