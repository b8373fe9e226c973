"""How much of each quota is used, at each moment, in the server's store.

Objects are counted once; from then on the ledger follows the store's log, so that a create costs what it adds. Writes
that are staged count before they are committed: of two creates in one turn of the loop the second sees the first, and
when their commit fails, neither counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from aliquot.emulator.kinds.resource_lists import Amounts
from aliquot.emulator.quota import usage
from aliquot.emulator.storage.log import Compacted
from aliquot.emulator.storage.records import Event, EventType
from aliquot.emulator.storage.store import Store
from aliquot.kube import quantity

_QUOTAS = "resourcequotas"
Quota = Mapping[str, Any]


@dataclass(slots=True)
class _Count:
    """Of the objects of one kind, up to `revision`."""

    revision: int
    parts: dict[str, Amounts] = field(default_factory=dict)
    """By the names of the objects, of those within the quota's scopes."""
    total: dict[str, Fraction] = field(default_factory=dict)
    spelled: Amounts = field(default_factory=dict)
    """An amount of each resource, as somebody wrote it: sums are written like it."""

    def put(self, name: str, part: Amounts | None) -> None:
        for sign, amounts in ((-1, self.parts.pop(name, {})), (1, part or {})):
            for resource, amount in amounts.items():
                value = quantity.parse(amount)
                if value:
                    self.spelled.setdefault(resource, amount)
                    self.total[resource] = self.total.get(resource, Fraction(0)) + sign * value
        if part is not None:
            self.parts[name] = part

    def copy(self) -> "_Count":
        return _Count(self.revision, dict(self.parts), dict(self.total), dict(self.spelled))


@dataclass(frozen=True, slots=True)
class _Account:
    spec: Mapping[str, Any]
    counts: dict[str, _Count] = field(default_factory=dict)


class Ledger:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._accounts: dict[str, _Account] = {}
        self._quotas_at = -1

    def used(self, quota: Quota) -> Amounts:
        """Of each of the quota's resources."""
        self._forget_the_gone()
        metadata, spec = quota["metadata"], quota.get("spec") or {}
        hard = spec.get("hard") or {}
        account = self._accounts.get(metadata["uid"])
        if account is None or account.spec != spec:
            account = self._accounts[metadata["uid"]] = _Account(spec)
        used: Amounts = dict.fromkeys(hard, "0")
        for storage in usage.tracked(hard):
            count = self._count(account, storage, quota)
            for name in usage.named(storage, hard):
                if value := count.total.get(name):
                    used[name] = quantity.format_like(value, count.spelled[name])
        return used

    def _count(self, account: _Account, storage: str, quota: Quota) -> _Count:
        namespace = quota["metadata"]["namespace"]
        count = account.counts.get(storage)
        if count is not None:
            try:
                self._take(count, self._store.changes(storage, count.revision), quota)
            except Compacted:
                count = None
        if count is None:
            listed = self._store.list(storage, namespace)
            count = account.counts[storage] = _Count(listed.revision)
            for record in listed.records:
                count.put(record.name, _part(quota, storage, record.decode()))
        count.revision = self._store.revision
        if staged := self._store.staged(storage):
            count = count.copy()
            self._take(count, staged, quota)
        return count

    @staticmethod
    def _take(count: _Count, events: Iterable[Event], quota: Quota) -> None:
        for event in events:
            record = event.record
            if record.namespace == quota["metadata"]["namespace"]:
                gone = event.type is EventType.DELETED
                count.put(record.name, None if gone else _part(quota, record.resource, record.decode()))

    def _forget_the_gone(self) -> None:
        changed = self._store.changed(_QUOTAS)
        if changed == self._quotas_at:
            return
        self._quotas_at = changed
        there = {self._store.view(one)["metadata"]["uid"] for one in self._store.list(_QUOTAS).records}
        self._accounts = {uid: account for uid, account in self._accounts.items() if uid in there}


def _part(quota: Quota, storage: str, obj: Mapping[str, Any]) -> Amounts | None:
    return usage.usage(storage, obj) if usage.covers(quota, storage, obj) else None
