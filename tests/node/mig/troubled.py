"""A simulated driver that fails, or dies with its process, at calls of one's choice."""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.gpu.driver import DriverError, ReturnCode
from aliquot.gpu.simulated import SimulatedDriver

CHANGING = frozenset(
    {
        "set_mig_mode",
        "reset_gpu",
        "create_gpu_instance",
        "destroy_gpu_instance",
        "create_compute_instance",
        "destroy_compute_instance",
    }
)


class Killed(BaseException):
    """kill -9, as far as Python goes: nobody catches it."""


Trouble = Callable[[str, int], None]
"""(name of the call, its number among the changing ones, from 0); raises what is to happen."""


class Troubled:
    """`before` and `after` are asked around each call that changes something."""

    def __init__(
        self,
        driver: SimulatedDriver,
        *,
        before: Trouble = lambda _name, _number: None,
        after: Trouble = lambda _name, _number: None,
    ) -> None:
        self._driver = driver
        self._before = before
        self._after = after
        self.calls: list[str] = []
        """Of the changing ones."""

    def __getattr__(self, name: str) -> Any:
        really = getattr(self._driver, name)
        if name not in CHANGING:
            return really

        def call(*arguments: Any) -> Any:
            number = len(self.calls)
            self.calls.append(name)
            self._before(name, number)
            result = really(*arguments)
            self._after(name, number)
            return result

        return call


def failing(failures: Mapping[int, ReturnCode]) -> Trouble:
    """At the calls of these numbers."""

    def trouble(name: str, number: int) -> None:
        if number in failures:
            raise DriverError(failures[number], failures[number].name)

    return trouble


def dying(at: int) -> Trouble:
    def trouble(name: str, number: int) -> None:
        if number == at:
            raise Killed

    return trouble
