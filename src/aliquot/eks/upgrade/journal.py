"""The journal: which step is how far, who works on it, and all that was asked and answered. In SQL, so that it outlives whoever writes it.

What it keeps is what was *intended*; how things are, AWS is asked. An intent is durable before its call is made.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update

from aliquot.eks.aws import arns
from aliquot.eks.upgrade.carrying_over import carry_over
from aliquot.eks.upgrade.doing import Decision
from aliquot.eks.upgrade.tables import events, kept, metadata, runs, steps
from aliquot.sql.connections import Connections

_LOCK = 0x_A11C_0731
DONE = "done"
_LOST = "{} is no longer ours: somebody else has taken it over"


class Phase(StrEnum):
    TO_DO = "to-do"
    BEGUN = "begun"
    HELD = "held"
    DONE = "done"
    LEFT = "left"
    """The run was turned before its time came."""


class Held(Exception):
    """Somebody else works on it, or it cannot be done: one line."""


class Lapsed(Held):
    """Nobody else has it, and for a while nobody had: renew it, and look anew."""


class Standing(Struct, frozen=True, kw_only=True):
    """How far one step is."""

    number: int
    step: str
    phase: Phase
    attempt: int
    before: tuple[str, ...]
    """What was known when the attempt began: ids of updates that were over."""
    told: str
    since_s: float
    """When it came into its phase."""

    @property
    def was_begun(self) -> bool:
        """It may have done something: also one that was held, and that a person has said to try again since."""
        if self.phase is Phase.TO_DO:
            return self.attempt > 0
        return self.phase is not Phase.LEFT


class Run(Struct, frozen=True, kw_only=True):
    id: str
    cluster: str
    arn: str = ""
    """The cluster's; empty: nobody knows it."""
    began_s: float
    over: str
    """How it ended; empty: it goes on."""
    paused: str
    owner: str
    """Who works on it; empty: nobody has said so."""
    until_s: float
    """For so long the owner has it."""

    @property
    def region(self) -> str:
        return arns.region(self.arn)


class Entry(Struct, frozen=True, kw_only=True):
    number: int
    at_s: float
    step: str
    kind: str
    body: dict[str, Any]


class Journal:
    """Everything here blocks; a shell calls it from a thread, a simulation as it is. Raises Unusable, Unreachable."""

    def __init__(self, url: str) -> None:
        self._connections = Connections(url, _LOCK)
        with self._connections.writing() as tx:
            carry_over(tx)
            metadata.create_all(tx)

    def close(self) -> None:
        self._connections.close()

    def begin(
        self,
        run: str,
        cluster: str,
        plan: bytes,
        step_ids: Sequence[str],
        now_s: float,
        *,
        arn: str = "",
        ends: str = DONE,
    ) -> None:
        """`arn`: the cluster's; empty: nobody knows it, and it may be any of that name. `ends`: what it is once all its steps are done. Raises Held where the cluster has a run that goes on. The same run once more is no harm, unless it is over."""
        with self._connections.writing() as tx:
            if tx.scalar(select(runs.c.id).where(runs.c.id == run)) is not None:
                self._going(tx, run, "; plan anew")
                return
            of_name = (runs.c.cluster == cluster) & (runs.c.over == "")
            of_cluster = of_name & runs.c.arn.in_((arn, "")) if arn else of_name
            going = tx.scalar(select(runs.c.id).where(of_cluster))
            if going is not None:
                raise Held(f"{cluster} has run {going}, which is not over: go on with it, or abort it")
            tx.execute(
                insert(runs).values(
                    id=run,
                    cluster=cluster,
                    arn=arn,
                    plan=plan,
                    began_s=now_s,
                    over="",
                    paused="",
                    lease_owner="",
                    lease_until_s=0.0,
                )
            )
            _add_steps(tx, run, step_ids, 0, now_s)
            if ends != DONE:
                _append(tx, run, "", "turned", {"ends": ends, "by": "", "steps": list(step_ids)}, now_s)

    def runs(self) -> list[Run]:
        """The newest last."""
        asked = select(runs).order_by(runs.c.began_s, runs.c.id)
        with self._connections.reading() as tx:
            return [
                Run(
                    id=row.id,
                    cluster=row.cluster,
                    arn=row.arn,
                    began_s=row.began_s,
                    over=row.over,
                    paused=row.paused,
                    owner=row.lease_owner,
                    until_s=row.lease_until_s,
                )
                for row in tx.execute(asked)
            ]

    def turn(
        self,
        run: str,
        owner: str,
        plan: bytes,
        step_ids: Sequence[str],
        *,
        ends: str,
        by: str,
        now_s: float,
    ) -> None:
        """From here on the run takes these steps instead of those that are left, and ends so. Raises Held where it is not the owner's."""
        with self._connections.writing() as tx:
            self._owned(tx, run, owner, now_s)
            taken = set(tx.scalars(select(steps.c.step).where(steps.c.run == run)))
            if taken.intersection(step_ids):
                raise Held(f"{run} has step {min(taken.intersection(step_ids))} already")
            left = (steps.c.run == run) & (steps.c.phase != Phase.DONE)
            tx.execute(update(steps).where(left).values(phase=Phase.LEFT, at_s=now_s))
            last = tx.scalar(select(func.max(steps.c.number)).where(steps.c.run == run))
            _add_steps(tx, run, step_ids, 0 if last is None else last + 1, now_s)
            tx.execute(update(runs).where(runs.c.id == run).values(plan=plan, paused=""))
            _append(tx, run, "", "turned", {"ends": ends, "by": by, "steps": list(step_ids)}, now_s)

    def lease(self, run: str, owner: str, now_s: float, for_s: float) -> None:
        """Take it, for whoever comes to it. Raises Held."""
        with self._connections.writing() as tx:
            self._going(tx, run)
            row = tx.execute(select(runs.c.lease_owner, runs.c.lease_until_s).where(runs.c.id == run)).one()
            if row.lease_owner not in ("", owner) and row.lease_until_s > now_s:
                raise Held(
                    f"{row.lease_owner} works on {run}, for {row.lease_until_s - now_s:.0f} s at least: "
                    "wait for that, stop it there, or say --take-over if you know that it has died"
                )
            tx.execute(
                update(runs).where(runs.c.id == run).values(lease_owner=owner, lease_until_s=now_s + for_s)
            )

    def renew(self, run: str, owner: str, now_s: float, for_s: float) -> None:
        """Hold it longer. Raises Held where it was taken away, also where nobody has it now: the run may have been turned meanwhile."""
        with self._connections.writing() as tx:
            of_owner = (runs.c.id == run) & (runs.c.lease_owner == owner)
            if tx.execute(update(runs).where(of_owner).values(lease_until_s=now_s + for_s)).rowcount != 1:
                raise Held(_LOST.format(run))

    def take_over(self, run: str, by: str, now_s: float) -> None:
        """Whoever has it has it no more: their next write is refused. Raises Held where there is no such run, or it is over."""
        with self._connections.writing() as tx:
            self._going(tx, run)
            whose = tx.scalar(select(runs.c.lease_owner).where(runs.c.id == run))
            tx.execute(update(runs).where(runs.c.id == run).values(lease_owner="", lease_until_s=0.0))
            _append(tx, run, "", "taken over", {"by": by, "from": whose}, now_s)

    def release(self, run: str, owner: str) -> None:
        """Nobody works on it any more. No harm where somebody else does."""
        with self._connections.writing() as tx:
            of_owner = (runs.c.id == run) & (runs.c.lease_owner == owner)
            tx.execute(update(runs).where(of_owner).values(lease_owner="", lease_until_s=0.0))

    def standing(self, run: str) -> list[Standing]:
        with self._connections.reading() as tx:
            rows = tx.execute(select(steps).where(steps.c.run == run).order_by(steps.c.number))
            return [
                Standing(
                    number=row.number,
                    step=row.step,
                    phase=Phase(row.phase),
                    attempt=row.attempt,
                    before=msgspec.json.decode(row.before, type=tuple[str, ...]),
                    told=row.told,
                    since_s=row.at_s,
                )
                for row in rows
            ]

    def plan(self, run: str) -> bytes:
        with self._connections.reading() as tx:
            found = tx.scalar(select(runs.c.plan).where(runs.c.id == run))
        if found is None:
            raise Held(f"there is no run {run}")
        return bytes(found)

    def start(self, run: str, owner: str, step: str, before: Sequence[str], now_s: float) -> None:
        """An attempt at a step begins. Raises Held where the run is no longer the owner's."""
        self._move(
            run, owner, step, {"phase": Phase.BEGUN, "before": msgspec.json.encode(list(before))}, now_s
        )

    def move(self, run: str, owner: str, step: str, phase: Phase, told: str, now_s: float) -> None:
        """A step to its next phase. Raises Held where the run is no longer the owner's."""
        self._move(run, owner, step, {"phase": phase, "told": told}, now_s)

    def tell(self, run: str, owner: str, step: str, line: str) -> None:
        """What a step waits for. No harm where it is somebody else's."""
        with self._connections.writing() as tx:
            if tx.scalar(select(runs.c.lease_owner).where(runs.c.id == run)) == owner:
                of_step = (steps.c.run == run) & (steps.c.step == step)
                tx.execute(update(steps).where(of_step).values(told=line))

    def _move(self, run: str, owner: str, step: str, values: dict[str, Any], now_s: float) -> None:
        with self._connections.writing() as tx:
            self._owned(tx, run, owner, now_s)
            of_step = (steps.c.run == run) & (steps.c.step == step)
            tx.execute(update(steps).where(of_step).values(at_s=now_s, **values))
            _append(tx, run, step, values["phase"], {"told": values.get("told", "")}, now_s)

    def note(self, run: str, owner: str, step: str, kind: str, body: dict[str, Any], now_s: float) -> None:
        """Raises Held where the run is no longer the owner's: whoever lost it makes no call."""
        with self._connections.writing() as tx:
            self._owned(tx, run, owner, now_s)
            _append(tx, run, step, kind, body, now_s)

    def keep(self, run: str, owner: str, step: str, name: str, value: Any, now_s: float) -> None:
        """How something was, for later. What is kept under a name already, stays. Raises Held."""
        with self._connections.writing() as tx:
            self._owned(tx, run, owner, now_s)
            of_name = (kept.c.run == run) & (kept.c.name == name)
            if tx.scalar(select(kept.c.name).where(of_name)) is not None:
                return
            body = msgspec.json.encode(value)
            tx.execute(insert(kept).values(run=run, name=name, value=body, at_s=now_s))
            _append(tx, run, step, "kept", {"name": name}, now_s)

    def kept(self, run: str) -> dict[str, Any]:
        with self._connections.reading() as tx:
            rows = tx.execute(select(kept.c.name, kept.c.value).where(kept.c.run == run))
            return {row.name: msgspec.json.decode(row.value) for row in rows}

    def decide(self, run: str, decision: Decision) -> None:
        """A person's word. Who may say it is for the caller to know. Raises Held where there is no such run, or it is over."""
        with self._connections.writing() as tx:
            self._going(tx, run)
            body = {"kind": decision.kind, "by": decision.by, "body": decision.body}
            _append(tx, run, decision.step, "decided", body, decision.at_s)

    def decisions(self, run: str) -> tuple[Decision, ...]:
        return tuple(
            Decision(step=one.step, at_s=one.at_s, **one.body) for one in self.entries(run, kind="decided")
        )

    def pause(self, run: str, why: str, now_s: float) -> None:
        """What has begun is seen to its end; nothing new begins. An empty `why` ends the pause. Raises Held."""
        with self._connections.writing() as tx:
            self._going(tx, run)
            tx.execute(update(runs).where(runs.c.id == run).values(paused=why))
            _append(tx, run, "", "paused" if why else "unpaused", {"why": why}, now_s)

    def paused(self, run: str) -> str:
        with self._connections.reading() as tx:
            return tx.scalar(select(runs.c.paused).where(runs.c.id == run)) or ""

    def retry(self, run: str, now_s: float) -> str:
        """The step that is held is tried again, with a token of its own. Raises Held where none is."""
        with self._connections.writing() as tx:
            row = tx.execute(
                select(steps).where(steps.c.run == run, steps.c.phase == Phase.HELD).order_by(steps.c.number)
            ).first()
            if row is None:
                raise Held(f"no step of {run} is held")
            tx.execute(
                update(steps)
                .where(steps.c.run == run, steps.c.number == row.number)
                .values(phase=Phase.TO_DO, attempt=row.attempt + 1, told="", at_s=now_s)
            )
            _append(tx, run, row.step, "retried", {"attempt": row.attempt + 1}, now_s)
            return str(row.step)

    def end(self, run: str, owner: str, how: str, now_s: float) -> None:
        with self._connections.writing() as tx:
            self._owned(tx, run, owner, now_s)
            tx.execute(update(runs).where(runs.c.id == run).values(over=how))
            _append(tx, run, "", "over", {"how": how}, now_s)

    def over(self, run: str) -> str:
        with self._connections.reading() as tx:
            return tx.scalar(select(runs.c.over).where(runs.c.id == run)) or ""

    def ends(self, run: str) -> str:
        """How it ends once all its steps are done."""
        turned = [one.body["ends"] for one in self.entries(run, kind="turned")]
        return str(turned[-1]) if turned else DONE

    def entries(self, run: str, kind: str = "") -> list[Entry]:
        """In order; of one kind, or all. A run asks for decisions at each look, and has written down much more."""
        asked = select(events).where(events.c.run == run).order_by(events.c.number)
        if kind:
            asked = asked.where(events.c.kind == kind)
        with self._connections.reading() as tx:
            return [
                Entry(
                    number=row.number,
                    at_s=row.at_s,
                    step=row.step,
                    kind=row.kind,
                    body=msgspec.json.decode(row.body),
                )
                for row in tx.execute(asked)
            ]

    def _going(self, tx: Connection, run: str, todo: str = "") -> None:
        how = tx.scalar(select(runs.c.over).where(runs.c.id == run))
        if how is None:
            raise Held(f"there is no run {run}")
        if how:
            raise Held(f"{run} is over: {how}{todo}")

    def _owned(self, tx: Connection, run: str, owner: str, now_s: float) -> None:
        row = tx.execute(
            select(runs.c.lease_owner, runs.c.lease_until_s).where(runs.c.id == run)
        ).one_or_none()
        if row is None or row.lease_owner != owner:
            raise Held(_LOST.format(run))
        if row.lease_until_s <= now_s:
            raise Lapsed(f"the lease of {run} is over")


def _add_steps(tx: Connection, run: str, ids: Sequence[str], first: int, now_s: float) -> None:
    for number, id_ in enumerate(ids, start=first):
        tx.execute(
            insert(steps).values(
                run=run,
                number=number,
                step=id_,
                phase=Phase.TO_DO,
                attempt=0,
                before=b"[]",
                told="",
                at_s=now_s,
            )
        )


def _append(tx: Connection, run: str, step: str, kind: str, body: dict[str, Any], now_s: float) -> None:
    last = tx.scalar(select(func.max(events.c.number)).where(events.c.run == run))
    number = 0 if last is None else last + 1
    tx.execute(
        insert(events).values(
            run=run, number=number, at_s=now_s, step=step, kind=kind, body=msgspec.json.encode(body)
        )
    )
