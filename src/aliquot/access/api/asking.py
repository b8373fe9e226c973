"""Requests: asked for, listed, shown; and what asking would come to."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import reading
from aliquot.access.api.door import Door, written
from aliquot.access.api.problems import Problem
from aliquot.access.broker.around import Caller
from aliquot.access.core import requests
from aliquot.access.core.asked import AskBody
from aliquot.access.core.life.rights import may_see
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.people import Person
from aliquot.access.core.quorum import may_approve
from aliquot.access.core.spelling import canonical, spell
from aliquot.access.core.templates.template import Template, digest
from aliquot.access.core.terms import TICKET_PATTERN, Ask, ineligible
from aliquot.access.store.reading import Answer, Wanted
from aliquot.access.store.transaction import Transaction

_KEYS_LAST_S = 24 * 3600
_MOST_ON_A_PAGE = 100
_MOST_LOOKED_AT = 1000
"""For one page: of somebody who may see little."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_ID = re.compile(requests.ID_PATTERN, re.ASCII)
_FLAG = re.compile("true|false")
_TICKET = re.compile(TICKET_PATTERN, re.ASCII)
_STAGES = re.compile("({0})(,({0}))*".format("|".join(Stage)))
FILTERS = {
    "stage": _STAGES,
    "template": _NAME,
    "cluster": _NAME,
    "namespace": _NAME,
    "mine": _FLAG,
    "reviewOpen": _FLAG,
    "before": _ID,
    "limit": re.compile("[1-9][0-9]?|100"),
}
SIMULATED = {
    "template": _NAME,
    "cluster": _NAME,
    "namespace": _NAME,
    "durationSeconds": re.compile("[1-9][0-9]{0,7}", re.ASCII),
    "start": re.compile(r"[0-9T:.Z+-]{1,40}", re.ASCII),
    "ticket": _TICKET,
    "emergency": _FLAG,
}
PARAMETER = "parameter."


def digest_of(asked: Ask) -> str:
    """What a fresh proof for an ask is for, and what an idempotency key stands for."""
    return "sha256:" + hashlib.sha256(canonical(asked)).hexdigest()


class Asking:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def ask(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        key = reading.idempotency_key(request)
        asked = reading.said(await reading.body(request, AskBody))
        return await self.put(request, caller, asked, key)

    async def put(self, request: Request, caller: Caller, asked: Ask, key: str) -> Response:
        """Asked again with the same key it is the same request, whatever has become of it."""
        of = digest_of(asked)
        request_id = await self._kept_id(caller.person, key, of) if key and self._might(asked, caller) else ""
        if request_id and (there := await self._door.store.read(lambda tx: tx.life(request_id))) is not None:
            # A proof is good for once: whoever asks again need not bring another.
            return self._door.answered(there, 201)
        caller = await self._door.proven(caller, request, "ask", of)
        return self._door.answered(await self._door.broker.ask(asked, caller, request_id=request_id), 201)

    def _might(self, asked: Ask, caller: Caller) -> bool:
        """Of whoever certainly may not, nothing is kept: not even their keys."""
        policy = self._door.policies.now()
        if policy is None:
            return True
        template = policy.templates.get(asked.template)
        return template is not None and not ineligible(template, caller.identity, emergency=asked.emergency)

    async def _kept_id(self, person: Person, key: str, of: str) -> str:
        """The id that a key stands for, from before anything is made of it: whoever dies in between makes the same one again."""

        def work(tx: Transaction) -> Answer:
            if (there := tx.answer(str(person), key)) is not None:
                return there
            made = Answer(
                of, 201, requests.new_id(tx.now_s, self._door.random(requests.RANDOM_BYTES)).encode()
            )
            tx.remember(str(person), key, made, until_s=tx.now_s + _KEYS_LAST_S)
            return made

        found = await self._door.store.write(work)
        if found.digest != of:
            raise Problem(
                422, "key-used", "this Idempotency-Key was given with something else: take a new one"
            )
        return found.body.decode()

    async def show(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        here = await self._door.seen(reading.id_of(request), caller)
        seen = request.headers.get("if-none-match") == f'"{here.life.version}"'
        if seen and self._door.ended_in_outage(here.life) is None:
            return Response(status_code=304, headers={"ETag": f'"{here.life.version}"'})
        return self._door.answered(here.life)

    async def listed(self, request: Request) -> Response:
        """The latest first. `next` is there where there may be more: the `before` of the next page."""
        caller = await self._door.caller(request)
        given = reading.query(request, FILTERS)
        wanted = Wanted(
            stages=tuple(Stage(one) for one in given["stage"].split(",")) if "stage" in given else (),
            holder=caller.person if given.get("mine") == "true" else None,
            template=given.get("template", ""),
            cluster=given.get("cluster", ""),
            namespace=given.get("namespace"),
            review_open=given.get("reviewOpen") == "true",
            before=given.get("before", ""),
        )
        items, after = await self._page(caller, wanted, int(given.get("limit", "50")))
        return written({"items": items, **({"next": after} if after else {})})

    async def _page(self, caller: Caller, wanted: Wanted, limit: int) -> tuple[list[dict[str, Any]], str]:
        items: list[dict[str, Any]] = []
        for _ in range(_MOST_LOOKED_AT // _MOST_ON_A_PAGE):
            asked_for = wanted
            found, now_s = await self._door.store.read(
                lambda tx, asked_for=asked_for: (tx.lives(asked_for, most=_MOST_ON_A_PAGE), tx.now_s)  # type: ignore[misc]
            )
            for life in found:
                if may_see(self._door.here(life, now_s, caller), caller.person):
                    items.append(self._door.shown(life))
                if len(items) == limit:
                    return items, life.id
            if len(found) < _MOST_ON_A_PAGE:
                return items, ""
            wanted = replace(wanted, before=found[-1].id)
        return items, wanted.before

    async def templates(self, request: Request) -> Response:
        caller = await self._door.caller(request)
        reading.query(request, {})
        policy = self._door.policy()
        return written(
            {
                "items": [_described(one, caller) for _, one in sorted(policy.templates.items())],
                "policyDigest": policy.digest,
            }
        )

    async def simulate(self, request: Request) -> Response:
        """What a request of the caller's would come to. Nothing is written."""
        caller = await self._door.caller(request)
        given = reading.query(request, SIMULATED, rest=PARAMETER)
        for name in ("template", "cluster"):
            if name not in given:
                raise Problem(422, "invalid", f"'{name}' is missing")
        asked = Ask(
            template=given["template"],
            cluster=given["cluster"],
            namespace=given.get("namespace", ""),
            parameters={
                name.removeprefix(PARAMETER): value
                for name, value in given.items()
                if name.startswith(PARAMETER)
            },
            duration_s=int(given["durationSeconds"]) if "durationSeconds" in given else None,
            start_s=reading.moment("start", given["start"]) if "start" in given else None,
            justification="to see what it would come to",
            ticket=given.get("ticket", ""),
            emergency=given.get("emergency") == "true",
        )
        return written(spell(await self._door.broker.foresee(asked, caller)))


def _described(template: Template, caller: Caller) -> dict[str, Any]:
    emergency = template.emergency is not None and not ineligible(template, caller.identity, emergency=True)
    return {
        **msgspec.to_builtins(template),
        "digest": digest(template),
        "mayAsk": not ineligible(template, caller.identity, emergency=False),
        "mayAskInEmergency": emergency,
        "mayApprove": not may_approve(caller.identity, Person("", ""), template.quorum),
    }
