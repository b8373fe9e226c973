"""Tells the log what may be given, and who looks after all, as soon as the files say something else. Who changed them, it cannot say."""

import asyncio
from collections.abc import Mapping

import structlog

from aliquot.access.broker.around import Policies
from aliquot.access.core.policy import Held, Policy, held
from aliquot.access.core.spelling import spell
from aliquot.access.log.entries import Actor, Draft, Unloggable
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

FILES = Actor("aliquot", "files")
_LOOK_EVERY_S = 1.0


class PolicyNoting:
    def __init__(self, store: Store, policies: Policies) -> None:
        self._store = store
        self._policies = policies
        self._noted = ""
        """By this process. Of several servers whose files are not the same yet each tells only what is new to it."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.note()
            except Unreachable as error:
                _log.warning("policy not logged", error=str(error))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def note(self) -> None:
        """Once. Raises Unreachable."""
        policy = self._policies.now()
        if policy is None or policy.digest == self._noted:
            return
        await self._store.write(lambda tx: _note(tx, policy))
        self._noted = policy.digest


def _note(tx: Transaction, policy: Policy) -> None:
    before, after = tx.policy, held(policy)
    if before.digest == after.digest:
        return
    try:
        tx.append([_draft(before, after, policy, tx.now_s)])
    except Unloggable as error:
        # More templates than an entry has room for: that it changed is told all the same.
        _log.warning("policy logged by its digest alone", error=str(error))
        tx.append([_draft(before, after, None, tx.now_s)])
    tx.set_policy(after)


def _draft(before: Held, after: Held, policy: Policy | None, now_s: float) -> Draft:
    details: Mapping[str, object] = {}
    if policy is not None:
        details = {
            "added": _of(after, set(after.templates) - set(before.templates)),
            "changed": _of(
                after,
                {
                    name
                    for name, digest in after.templates.items()
                    if before.templates.get(name, digest) != digest
                },
            ),
            "gone": sorted(set(before.templates) - set(after.templates)),
            "security": spell(policy.security),
            "auditors": spell(policy.auditors),
            "clearing": spell(policy.clearing),
        }
    return Draft(
        time_s=now_s,
        actor=FILES,
        action="policy.changed",
        policy_digest=after.digest,
        before=before.digest,
        after=after.digest,
        details=details,
    )


def _of(policy: Held, names: set[str]) -> dict[str, str]:
    return {name: policy.templates[name] for name in sorted(names)}
