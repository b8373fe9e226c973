"""How long a real driver takes for what a simulated one does at once, so that an emulated cluster keeps real time.

A GPU instance with its compute instance takes 0.13 to 0.24 s to make and 0.10 to 0.22 s to destroy, by size (A30: the
example of FAR, 2507.13601; an A100-type table by size: the constants of 2606.25082's simulator). What a change of MIG mode
without a reset takes is published nowhere: a second is assumed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

_TAKES_S: Mapping[str, float] = {
    "create_gpu_instance": 0.2,
    "destroy_gpu_instance": 0.2,
    "set_mig_mode": 1.0,
}
"""By the name of the driver's function."""


def as_long_as_real(function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
    """A simulated driver never blocks: no thread is needed, and for what takes no time, no task either."""
    if (takes_s := _TAKES_S.get(getattr(function, "__name__", ""), 0.0)) > 0:
        return _later(takes_s, function, *arguments)
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    try:
        answer.set_result(function(*arguments))
    except Exception as error:
        answer.set_exception(error)
    return answer


async def _later(takes_s: float, function: Callable[..., Any], *arguments: Any) -> Any:
    await asyncio.sleep(takes_s)
    return function(*arguments)
