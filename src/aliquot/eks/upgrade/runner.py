"""Goes through the steps of a plan: looks, judges, does what the rule says, and writes it down."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aliquot.eks.aws.api import Failure
from aliquot.eks.upgrade import outages
from aliquot.eks.upgrade.acts.table import DOINGS
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors, Shut
from aliquot.eks.upgrade.gates import waits_s
from aliquot.eks.upgrade.journal import Held, Journal, Lapsed, Phase, Standing
from aliquot.eks.upgrade.steps import Step, token
from aliquot.eks.upgrade.updates import POLL_S
from aliquot.eks.upgrade.verdicts import Call, Done, Errand, Hold, Keep, Verb, Verdict, Wait, Write, Writes
from aliquot.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from aliquot.sql.failures import Unreachable
from aliquot.windows import Window

LEASE_S = 300.0
_LATE = "it takes longer than it should: have a look at it"
_SOON_S = 1.0
_LONGEST_WAIT_S = LEASE_S / 3
_APART_S = 120.0
"""Of two failures of the journal: longer, and they are two outages."""
_OVER = frozenset({Phase.DONE, Phase.LEFT})
_SAME_AT_MOST = 60
"""Times that one thing is written or asked for in one go at a step: then somebody else puts it back as it was."""


class Runner:
    """Of one run. Whoever dies in here is followed by another one, which looks first."""

    def __init__(
        self,
        doors: Doors,
        journal: Journal,
        run: str,
        plan: Sequence[Step],
        *,
        owner: str,
        windows: Sequence[Window] = (),
        ends: str = "done",
        pace: float = 1.0,
        tell: Callable[[Step, str], None] = lambda _step, _line: None,
    ) -> None:
        """`ends`: what the journal says of the run once all is done. `pace`: of all waits; at 0.5 it looks twice as often. `tell` hears, a line each, what a step waits for and what came of it."""
        self._doors = doors
        self._journal = journal
        self._run = run
        self._plan = list(plan)
        self._number = {step.id: number for number, step in enumerate(plan)}
        self._windows = windows
        self._ends = ends
        self._pace = pace
        self._owner = owner
        self._tell = tell
        self._at: Step | None = None
        self._said = ""

    async def go(self) -> Hold | None:
        """Until all is done (None), or something is held or paused. Raises Held where the run is somebody else's, Unreachable."""
        self._journal.lease(self._run, self._owner, self._now, LEASE_S)
        since_s, last_s = 0.0, -outages.PATIENCE_S
        while True:
            try:
                return await self._on()
            except Lapsed:
                # We slept, or a call took that long. Nobody has come meanwhile, or the next look tells: what was seen is old.
                continue
            except Unreachable as error:
                # A look comes first, then: what the journal does not have was not asked for.
                since_s = self._now if self._now - last_s > _APART_S else since_s
                last_s = self._now
                if self._at is None or self._now - since_s >= outages.PATIENCE_S:
                    raise
                self._tell(self._at, f"the journal takes nothing, so nothing is done: {error}")
                await asyncio.sleep(outages.AGAIN_S)

    async def _on(self) -> Hold | None:
        while True:
            self._keep()
            standing = next(
                (one for one in self._journal.standing(self._run) if one.phase not in _OVER), None
            )
            if standing is None:
                self._journal.end(self._run, self._owner, self._ends, self._now)
                return None
            if standing.phase is Phase.HELD:
                return Hold(standing.told, "retry, or go back")
            paused = self._journal.paused(self._run)
            if paused and standing.phase is Phase.TO_DO:
                return Hold(f"paused: {paused}", "resume it")
            if standing.step not in self._number:
                raise Held(f"{self._run} was turned meanwhile: begin this command once more")
            number = self._number[standing.step]
            self._at = step = self._plan[number]
            if standing.phase is Phase.TO_DO:
                wait_s = waits_s(self._plan, number, self._windows, self._now)
                if wait_s > 0:
                    self._waits(step, f"the next maintenance window opens in {wait_s / 3600:.1f} h", wait_s)
                    await asyncio.sleep(min(wait_s, _LONGEST_WAIT_S))
                    continue
            held = await self._step(step, standing)
            if held is not None:
                return held

    async def _step(self, step: Step, standing: Standing) -> Hold | None:
        doing = DOINGS[type(step.act)]
        begun = standing if standing.phase is Phase.BEGUN else None
        done: Counter[str] = Counter()
        failing_since_s: float | None = None
        while True:
            self._keep()
            try:
                with self._understanding(step):
                    seen = await doing.look(step.act, self._doors)
                    mark = doing.mark(seen)
                self._keep()
                if begun is None:
                    begun = self._begin(step, mark)
                attempt = self._attempt(step, begun)
                with self._understanding(step):
                    said = doing.judge(step.act, seen, attempt)
                verdict = _again_and_again(done) or await self._do(step, doing, said)
                done.update(_named(said))
                failing_since_s = None
            except Shut as error:
                verdict = error.hold
            except (Failure, ApiError) as error:
                failing_since_s = self._now if failing_since_s is None else failing_since_s
                verdict = outages.judged(error, self._now - failing_since_s)
            if isinstance(verdict, Wait):
                late = begun is not None and 0 < step.at_most_s < self._now - begun.since_s
                self._waits(step, f"{verdict.why}; {_LATE}" if late else verdict.why, verdict.seconds)
                await asyncio.sleep(min(verdict.seconds * self._pace, _LONGEST_WAIT_S))
            elif isinstance(verdict, Done):
                self._move(step, Phase.DONE, verdict.told)
                self._tell(step, verdict.told)
                return None
            elif isinstance(verdict, Hold):
                self._move(step, Phase.HELD, f"{verdict.why.rstrip('.')}: {verdict.todo}")
                return verdict

    @contextmanager
    def _understanding(self, step: Step) -> Iterator[None]:
        """Raises Failure, ApiError, Shut."""
        try:
            yield
        except (Failure, ApiError, Shut):
            raise
        except Exception as error:
            raise self._not_understood(step, error) from error

    def _not_understood(self, step: Step, error: Exception) -> Shut:
        """An answer is other than any that is known, a disk is full: a person looks. Where it was is for whoever mends it."""
        self._note(step, "not understood", {"error": "".join(traceback.format_exception(error))})
        said = str(error).strip().splitlines()
        return Shut(
            Hold(
                f"what was seen cannot be judged: {type(error).__name__}" + (f": {said[0]}" if said else ""),
                "put that right, then retry; if there is nothing to put right, tell us what `aliquot eks status --log` says",
            )
        )

    async def _do(self, step: Step, doing: Doing[Any, Any], verdict: Verdict) -> Verdict:
        """What there is to do is done, and becomes a Wait; the rest is as it was."""
        match verdict:
            case Call():
                return await self._call(step, verdict)
            case Writes():
                for write in verdict.writes:
                    await self._write(step, write)
                # Not at once: somebody else may put it back as it was, again and again.
                return Wait(_SOON_S, f"{verdict.writes[0]}: written")
            case Errand():
                self._note(step, "intended", {"errand": verdict.name, "parameters": verdict.parameters})
                with self._understanding(step):
                    await doing.errands[verdict.name](step.act, self._doors, verdict.parameters)
                self._keep()
                self._note(step, "answered", {"errand": verdict.name})
                return Wait(_SOON_S, f"{verdict.name}: done")
            case Keep():
                self._journal.keep(self._run, self._owner, step.id, verdict.name, verdict.value, self._now)
                return Wait(0.0, "kept")
        return verdict

    async def _call(self, step: Step, call: Call) -> Wait:
        # Durable before the call: whoever comes after us knows that it may have been made.
        self._note(step, "intended", {"operation": call.operation, "parameters": call.parameters})
        try:
            answer = await self._doors.api.call(call.service, call.operation, **call.parameters)
        except Failure as error:
            self._note(step, "refused", {"code": error.code, "message": error.message})
            raise
        update = answer.get("update", {}).get("id", "")
        self._note(step, "answered", {"update": update})
        return Wait(POLL_S, f"update {update} has begun" if update else f"{call.operation} is asked for")

    async def _write(self, step: Step, write: Write) -> None:
        self._note(step, "intended", {"write": str(write), "body": write.body})
        kube, namespace = self._doors.kube, write.namespace or None
        try:
            match write.verb:
                case Verb.CREATE:
                    if write.subresource:
                        await kube.create(
                            write.resource,
                            write.body,
                            namespace,
                            name=write.name,
                            subresource=write.subresource,
                        )
                    else:
                        await kube.create(write.resource, write.body)
                case Verb.PATCH:
                    await kube.patch(
                        write.resource,
                        write.name,
                        write.body,
                        namespace,
                        subresource=write.subresource or None,
                    )
                case Verb.DELETE:
                    await kube.delete(write.resource, write.name, namespace)
        except (AlreadyExists, NotFound, Conflict) as error:
            # It is not as it was seen: what comes next looks again.
            self._note(step, "refused", {"code": error.reason, "message": error.message})
            return
        self._note(step, "answered", {"write": str(write)})

    def _begin(self, step: Step, mark: tuple[str, ...]) -> Standing:
        self._journal.start(self._run, self._owner, step.id, mark, self._now)
        return next(one for one in self._journal.standing(self._run) if one.step == step.id)

    def _attempt(self, step: Step, standing: Standing) -> Attempt:
        return Attempt(
            run=self._run,
            step=step.id,
            token=token(self._run, step.id, standing.attempt),
            before=standing.before,
            began_s=standing.since_s,
            now_s=self._now,
            kept=self._journal.kept(self._run),
            decisions=self._journal.decisions(self._run),
        )

    @property
    def _now(self) -> float:
        return self._doors.clock.now()

    def _waits(self, step: Step, line: str, seconds: float) -> None:
        """For whoever looks on: here, and with `status` from elsewhere what is not over at once."""
        if seconds > _SOON_S and line != self._said:
            self._journal.tell(self._run, self._owner, step.id, line)
            self._said = line
        self._tell(step, line)

    def _keep(self) -> None:
        self._journal.renew(self._run, self._owner, self._now, LEASE_S)

    def _move(self, step: Step, phase: Phase, told: str) -> None:
        self._journal.move(self._run, self._owner, step.id, phase, told, self._now)

    def _note(self, step: Step, kind: str, body: dict[str, object]) -> None:
        self._journal.note(self._run, self._owner, step.id, kind, body, self._now)


def _named(said: Verdict) -> list[str]:
    """What was done."""
    match said:
        case Call():
            return [f"{said.operation} {said.parameters}"]
        case Writes():
            return [str(one) for one in said.writes]
        case Keep():
            return [f"keep {said.name}"]
    return []


def _again_and_again(done: Counter[str]) -> Hold | None:
    """A rule that says the same over and over is not heard: each time somebody else has put it back."""
    name, times = done.most_common(1)[0] if done else ("", 0)
    if times < _SAME_AT_MOST:
        return None
    return Hold(
        f"{name}: done {times} times, and it is not so",
        "find out who puts it back (a controller, GitOps, a webhook) and let them stop, then retry",
    )
