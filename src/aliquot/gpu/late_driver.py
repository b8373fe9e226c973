"""A driver that may not be there yet: opened at the first call that finds it."""

from collections.abc import Callable
from typing import Any, cast

from aliquot.gpu.driver import Driver, DriverError, ReturnCode


class _LateDriver:
    def __init__(self, open_driver: Callable[[], Driver]) -> None:
        self._open = open_driver
        self._driver: Driver | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Looked up only when it is called: to open the driver takes time, and this may be the event loop.
        def call(*arguments: Any) -> Any:
            return getattr(self._opened(), name)(*arguments)

        return call

    def _opened(self) -> Driver:
        if self._driver is None:
            try:
                self._driver = self._open()
            except DriverError as error:
                raise DriverError(ReturnCode.UNINITIALIZED, str(error)) from error
        return self._driver


def late(open_driver: Callable[[], Driver]) -> Driver:
    """`open_driver` is tried at each call until it raises no DriverError; until then that is what every call raises."""
    return cast(Driver, _LateDriver(open_driver))
