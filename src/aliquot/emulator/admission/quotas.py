"""ResourceQuotas: no object is made, or grows, beyond what its namespace may use.

Judged last, against what is used at that very moment; the write that follows in the same turn counts at once. A quota
holds from the moment that it is there: nothing waits for its status.
"""

from collections.abc import Mapping

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.kinds import resource_lists
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.quota import usage
from aliquot.emulator.registry import PODS
from aliquot.emulator.statuses import forbidden
from aliquot.kube import quantity

_QUOTAS = "resourcequotas"


def within_quotas(asked: Admitted, obj: Json | None) -> None:
    """A check, the last of all. Raises StatusError 403."""
    if obj is None or not _concerns(asked):
        return
    for quota in asked.look.all(_QUOTAS, asked.namespace):
        _judge(asked, obj, quota)


def _judge(asked: Admitted, obj: Json, quota: usage.Quota) -> None:
    storage, name = asked.served.storage, metadata(quota)["name"]
    hard: Mapping[str, str] = (quota.get("spec") or {}).get("hard") or {}
    limited = usage.named(storage, hard)
    if not limited or not usage.covers(quota, storage, obj):
        return
    said = metadata(obj).get("name", "")
    if storage == PODS and (unsaid := usage.unsaid(limited, obj)):
        raise forbidden(asked.served.resource, said, f"failed quota: {name}: {unsaid}")
    added = usage.usage(storage, obj)
    if asked.old is not None and usage.covers(quota, storage, asked.old):
        added = resource_lists.subtract(added, usage.usage(storage, asked.old))
    added = {key: added[key] for key in limited if key in added and quantity.parse(added[key])}
    if not added:
        return
    used = asked.look.used(quota)
    after = resource_lists.add(used, added)
    over = [key for key in sorted(added) if quantity.parse(after[key]) > quantity.parse(hard[key])]
    if over:
        why = (
            f"exceeded quota: {name}, requested: {_told(added, over)}, used: {_told(used, over)}, "
            f"limited: {_told(hard, over)}"
        )
        raise forbidden(asked.served.resource, said, why)


def _concerns(asked: Admitted) -> bool:
    storage = asked.served.storage
    if asked.subresource or not asked.served.resource.namespaced or storage in usage.UNCOUNTED:
        return False
    return asked.operation is Operation.CREATE or (
        asked.operation is Operation.UPDATE and usage.counts_on_update(storage)
    )


def _told(amounts: Mapping[str, str], names: list[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)
