"""Goes through the steps of a plan: looks, judges, does what the rule says, and writes it down."""

import asyncio
from collections.abc import Sequence

from aliquot.clock import Clock
from aliquot.eks.aws.api import (
    DENIED,
    NO_CREDENTIALS,
    THROTTLED,
    UNKNOWN_OUTCOME,
    WRONG_PARAMETERS,
    Api,
    Failure,
)
from aliquot.eks.upgrade.acts import call_of, subject
from aliquot.eks.upgrade.journal import Journal, Phase, Standing
from aliquot.eks.upgrade.looking import look
from aliquot.eks.upgrade.steps import Step, token
from aliquot.eks.upgrade.updates import POLL_S, Progress, judge
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Verdict, Wait

LEASE_S = 300.0
_AGAIN_S = 20.0
_PASSING = THROTTLED | UNKNOWN_OUTCOME
"""Nothing is known to have been decided: look again."""
_IN_USE = frozenset({"ResourceInUseException"})


class Runner:
    """Of one run. Whoever dies in here is followed by another one, which looks first."""

    def __init__(
        self, api: Api, journal: Journal, run: str, plan: Sequence[Step], *, owner: str, clock: Clock
    ) -> None:
        self._api = api
        self._journal = journal
        self._run = run
        self._plan = {step.id: step for step in plan}
        self._owner = owner
        self._clock = clock

    async def go(self) -> Hold | None:
        """Until all is done (None), or something is held. Raises Held where the run is somebody else's."""
        while True:
            self._keep()
            standing = next(
                (one for one in self._journal.standing(self._run) if one.phase is not Phase.DONE), None
            )
            if standing is None:
                self._journal.end(self._run, self._owner, "done", self._clock.now())
                return None
            if standing.phase is Phase.HELD:
                return Hold(standing.told, "retry, or go back")
            held = await self._step(self._plan[standing.step], standing)
            if held is not None:
                return held

    async def _step(self, step: Step, standing: Standing) -> Hold | None:
        before: Sequence[str] | None = standing.before if standing.phase is Phase.BEGUN else None
        call = call_of(step.act, token(self._run, step.id, standing.attempt))
        while True:
            self._keep()
            try:
                seen = await look(self._api, step.act)
                if before is None:
                    before = [one.id for one in seen.updates if one.progress is not Progress.IN_PROGRESS]
                    self._journal.start(self._run, self._owner, step.id, before, self._clock.now())
                verdict: Verdict = judge(subject(step.act, seen), call, before=before)
            except Failure as error:
                verdict = _failed(error)
            if isinstance(verdict, Call):
                verdict = await self._call(step, verdict)
            if isinstance(verdict, Wait):
                await asyncio.sleep(verdict.seconds)
            elif isinstance(verdict, Done):
                self._move(step, Phase.DONE, verdict.told)
                return None
            elif isinstance(verdict, Hold):
                self._move(step, Phase.HELD, f"{verdict.why}: {verdict.todo}")
                return verdict

    async def _call(self, step: Step, call: Call) -> Wait | Hold:
        # Durable before the call: whoever comes after us knows that it may have been made.
        self._note(step, "intended", {"operation": call.operation, "parameters": call.parameters})
        try:
            answer = await self._api.call(call.service, call.operation, **call.parameters)
        except Failure as error:
            self._note(step, "refused", {"code": error.code, "message": error.message})
            return _failed(error)
        self._note(step, "answered", {"update": answer["update"]["id"]})
        return Wait(POLL_S, f"update {answer['update']['id']} has begun")

    def _keep(self) -> None:
        self._journal.lease(self._run, self._owner, self._clock.now(), LEASE_S)

    def _move(self, step: Step, phase: Phase, told: str) -> None:
        self._journal.move(self._run, self._owner, step.id, phase, told, self._clock.now())

    def _note(self, step: Step, kind: str, body: dict[str, object]) -> None:
        self._journal.note(self._run, self._owner, step.id, kind, body, self._clock.now())


def _failed(error: Failure) -> Wait | Hold:
    if error.code in _PASSING or error.code in _IN_USE:
        return Wait(_AGAIN_S, str(error))
    if error.code == NO_CREDENTIALS or error.code in DENIED:
        return Hold(str(error), "then retry")
    if error.code == WRONG_PARAMETERS:
        return Hold(str(error), "this is a defect of the plan: plan anew, and tell us")
    return Hold(str(error), "put that right, then retry; or go back")
