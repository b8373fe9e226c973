"""Evicting a pod: a delete that the pod's disruption budget is asked about first."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aliquot.clock import Clock, rfc3339
from aliquot.emulator import statuses
from aliquot.emulator.kinds import disruption_budgets
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import Served
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.storage import Storage, Stored
from aliquot.emulator.verbs import deletion
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.deletion import DeleteOptions, Deleter

T = TypeVar("T")
# How often one begins anew that loses against other writers.
_ATTEMPTS = 10


async def evict(call: Call, storage: Storage, deleter: Deleter, eviction: Json, *, clock: Clock) -> Json:
    """`eviction` has passed admission. Raises StatusError: 429 when the budget does not allow it now."""
    if metadata(eviction).get("name") != call.name:
        raise statuses.bad_request("name in URL does not match name in Eviction object")
    options = _delete_options(call, eviction.get("deleteOptions") or {})
    budgets = storage.registry.find("policy", "v1", "poddisruptionbudgets")
    assert budgets is not None
    await _insist(lambda: _evict(call, storage, deleter, options, budgets, clock))
    return statuses.success(201)


def _delete_options(call: Call, given: Mapping[str, Any]) -> DeleteOptions:
    """Those in the eviction, tried only where it or the query says so. Raises StatusError."""
    asked, said = call.request.query.texts("dryRun"), given.get("dryRun") or []
    if asked and said and asked != said:
        text = (
            f"Non-matching dry-run options in request and content: [{' '.join(asked)}] and [{' '.join(said)}]"
        )
        raise statuses.failure(500, "", text)
    return deletion.judge_options({**given, "dryRun": said or asked})


async def _evict(
    call: Call,
    storage: Storage,
    deleter: Deleter,
    options: DeleteOptions,
    budgets: Served,
    clock: Clock,
) -> None:
    """Conflicts only where nothing has been spent yet."""
    pod = storage.must_find(call.served, call.namespace, call.name)
    there = storage.all(budgets.storage, call.namespace)
    verdict = disruption_budgets.verdict(pod.obj, disruption_budgets.guarding(pod.obj, there))
    budget = verdict.spend
    if budget is not None:
        await _insist(lambda: _spend(call, storage, budgets, budget, options, clock))
    if not options.dry_run:
        if verdict.as_seen:
            # Against the pod that was judged: one that has changed since is judged anew.
            await _say_why(storage, pod, clock)
        else:
            await _insist(
                lambda: _say_why(storage, storage.must_find(call.served, call.namespace, call.name), clock)
            )
    await deleter.evict(call, options)


async def _insist(step: Callable[[], Awaitable[T]]) -> T:
    """Again while others write in between: with what they wrote the answer may be another."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await step()
        except StatusError as error:
            if error.status.get("reason") != "Conflict":
                raise
    return await step()


async def _spend(
    call: Call, storage: Storage, budgets: Served, name: str, options: DeleteOptions, clock: Clock
) -> None:
    budget = storage.must_find(budgets, call.namespace, name)
    after = disruption_budgets.spent(budgets, budget.obj, call.name, clock.now())
    if not options.dry_run:
        await storage.replace(budget, after)


async def _say_why(storage: Storage, pod: Stored, clock: Clock) -> None:
    """The condition that tells the pod's controller that this is no failure of its own."""
    status = pod.obj.get("status") or {}
    others = [one for one in status.get("conditions") or () if one.get("type") != "DisruptionTarget"]
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(clock.now()),
    }
    await storage.replace(pod, {**pod.obj, "status": {**status, "conditions": [*others, condition]}})
