"""What policies have in common."""

from collections.abc import Sequence

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task
from aliquot.scheduler.simulation.fleet import Floats


class Highest:
    """The node with the highest score, the first of equal ones."""

    def pick(self, scores: Floats) -> int:
        return int(scores.argmax())

    def took(self, task: Task, row: int) -> None:
        pass


def whole_gpus(parts: Sequence[int], count: int) -> list[int]:
    """The first that nobody has a part of."""
    return [gpu for gpu, left in enumerate(parts) if left == WHOLE_MILLI][:count]


def fullest_gpus(parts: Sequence[int], task: Task) -> list[int]:
    """Those with the least left that is enough."""
    able = sorted((left, gpu) for gpu, left in enumerate(parts) if left >= task.gpu_milli)
    return [gpu for _, gpu in able[: task.gpus]]
