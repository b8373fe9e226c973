"""Queues in a few words: `research.quota=64` on what a trace or a cluster has."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from aliquot.document import nearest
from aliquot.kube import quantity
from aliquot.kube.api.queue import MOST_PRIORITY
from aliquot.kube.quantity import QuantityError
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms
from aliquot.scheduler.core.queues.tree import QueueTree
from aliquot.scheduler.core.reasons import Kind

_WHOLE = re.compile(r"-?\d{1,9}", re.ASCII)
FIELDS = ("quota", "limit", "weight", "priority", "parent")
_ALSO = {"overQuotaWeight": "weight"}
"""As a Queue has it."""


class SettingError(Exception):
    """One line."""


def declared(names: Iterable[str], settings: Sequence[str]) -> list[QueueSpec]:
    """The queues `names`, each with an equal claim, as `settings` change them and add to them. None where nothing is set: jobs
    then stand in one line. GPUs are whole or parts, weights likewise. Raises SettingError."""
    if not settings:
        return []
    specs = {name: QueueSpec(name, terms={GPU: Terms()}) for name in names if name}
    for text in settings:
        queue, field, value = _read(text)
        spec = specs.get(queue, QueueSpec(queue, terms={GPU: Terms()}))
        specs[queue] = _with(spec, field, value, text)
    _check_parents(specs, ": set something of it, like {}.weight=1")
    return list(specs.values())


def changed(specs: Iterable[QueueSpec], settings: Sequence[str]) -> list[QueueSpec]:
    """The queues that there are, with `settings` instead: what was wrong before stays closed. Raises SettingError, also for a queue
    that is not there."""
    found = {spec.name: spec for spec in specs}
    wrong = set(QueueTree(found.values()).problems)
    for text in settings:
        queue, field, value = _read(text)
        spec = found.get(queue)
        if spec is None:
            raise SettingError(
                f"'{text}': there is no queue '{queue}'{nearest(queue, found)}"
                if found
                else f"'{text}': the cluster has no Queues"
            )
        found[queue] = _with(spec, field, value, text)
        wrong.discard(queue)
    _check_parents(found, but_for=wrong)
    return list(found.values())


def _read(text: str) -> tuple[str, str, str]:
    """Queue, field and value."""
    name, separator, value = text.partition("=")
    queue, dot, field = name.rpartition(".")
    field = _ALSO.get(field, field)
    if not separator or not dot or not queue or field not in FIELDS:
        raise SettingError(f"'{text}' is not NAME.{'|'.join(FIELDS)}=VALUE, like research.quota=64")
    return queue, field, value


def _with(spec: QueueSpec, field: str, value: str, text: str) -> QueueSpec:
    terms = spec.terms.get(GPU, Terms())
    match field:
        case "parent":
            return replace(spec, parent=value)
        case "priority":
            return replace(spec, priority=_priority(value, text))
        case "quota":
            terms = replace(terms, quota=_amount(value, text))
        case "limit":
            terms = replace(terms, limit=_amount(value, text))
        case _:
            terms = replace(terms, weight_milli=_milli(value, text))
    return replace(spec, terms={**spec.terms, GPU: terms})


def _priority(value: str, text: str) -> int:
    if not _WHOLE.fullmatch(value) or abs(int(value)) > MOST_PRIORITY:
        raise SettingError(
            f"'{text}': '{value}' is not a whole number from {-MOST_PRIORITY} to {MOST_PRIORITY}"
        )
    return int(value)


def _amount(value: str, text: str) -> int:
    """As a Queue has it: -1 is without end."""
    if value == "-1":
        return UNLIMITED
    return _milli(value, text, "; -1 is without end")


def _milli(value: str, text: str, also: str = "") -> int:
    try:
        found = quantity.milli(value)
    except QuantityError:
        found = -1
    if found < 0:
        raise SettingError(f"'{text}': '{value}' is not a number from 0 on, like 2, 1.5 or 500m{also}")
    return min(found, UNLIMITED)


def _check_parents(specs: Mapping[str, QueueSpec], more: str = "", but_for: Collection[str] = ()) -> None:
    """Raises SettingError. `more`: what else could be done about one that is not there, with its name as `{}`."""
    for spec in specs.values():
        if spec.name not in but_for and spec.parent and spec.parent not in specs:
            hint = more.format(spec.parent)
            raise SettingError(f"queue '{spec.name}' has a parent '{spec.parent}' that is not there{hint}")
    for name, problem in sorted(QueueTree(specs.values()).problems.items()):
        if name not in but_for and problem.kind is Kind.QUEUE_CYCLE:
            raise SettingError(f"queue '{name}': {problem.detail}")
