"""Queues in a few words: `research.quota=64` on what a trace or a cluster has."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from aliquot.document import nearest
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec, Terms

_MILLI: Final = 1000
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
    for spec in specs.values():
        if spec.parent and spec.parent not in specs:
            raise SettingError(
                f"queue '{spec.name}' has a parent '{spec.parent}' that is not there: set something of it, like {spec.parent}.weight=1"
            )
    return list(specs.values())


def changed(specs: Iterable[QueueSpec], settings: Sequence[str]) -> list[QueueSpec]:
    """The queues that there are, with `settings` instead. Raises SettingError, also for a queue that is not there."""
    found = {spec.name: spec for spec in specs}
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
    for spec in found.values():
        if spec.parent and spec.parent not in found:
            raise SettingError(f"queue '{spec.name}' has a parent '{spec.parent}' that is not there")
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
            return replace(spec, priority=int(_number(value, text)))
        case "quota":
            terms = replace(terms, quota=round(_MILLI * _number(value, text)))
        case "limit":
            terms = replace(terms, limit=round(_MILLI * _number(value, text)))
        case _:
            terms = replace(terms, weight_milli=round(_MILLI * _number(value, text)))
    return replace(spec, terms={**spec.terms, GPU: terms})


def _number(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise SettingError(f"'{text}': '{value}' is not a number from 0 on")
    return number
