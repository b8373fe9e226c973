"""Types of options: they refuse what click lets through though it says nothing, or nothing that can be."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aliquot.gpu.inventory import InventoryGpus

_LEAVE_OUT = "it is empty; leave the option out for the default."


class GivenPath(click.Path):
    """Not the current directory, which an empty path would be: nobody means that by a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail(_LEAVE_OUT, param, ctx)
        return super().convert(value, param, ctx)


class GivenName(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text.strip():
            self.fail(_LEAVE_OUT, param, ctx)
        return text


class Names(click.ParamType[tuple[str, ...]]):
    """Several of what there is, with commas between them; each once."""

    name = "names"

    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = choices

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",")))
        for name in names:
            if name not in self._choices:
                self.fail(f"there is no '{name}'; there are {', '.join(self._choices)}", param, ctx)
        return names


def each_once(
    _context: click.Context, _parameter: click.Parameter, value: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """Callback of an option of Names that may be given several times: none of them is lost."""
    return tuple(dict.fromkeys(chain(*value)))


class Seconds(click.FloatRange):
    """How long to wait: a number, not infinity and not what is no number."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"'{value}' is no number of seconds; give one like 110.", param, ctx)
        return seconds


class Duration(click.ParamType[float]):
    """As in our kinds: `90s`, `168h`. In seconds."""

    name = "duration"

    def __init__(self, *, least_s: float) -> None:
        self._least_s = least_s

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if value == "":
            self.fail(_LEAVE_OUT, param, ctx)
        from aliquot.kube import duration

        try:
            seconds = duration.seconds(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if seconds < self._least_s:
            self.fail(f"'{value}' is too short: give {self._least_s:g}s or more.", param, ctx)
        return seconds


class NodeGpus(click.ParamType["tuple[InventoryGpus, ...]"]):
    """GPUs of one node: `h100-80gb:8,l4:2`."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "tuple[InventoryGpus, ...]":
        from aliquot.gpu.inventory import parse_gpus

        if value == "":
            self.fail(_LEAVE_OUT, param, ctx)
        try:
            return parse_gpus(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
