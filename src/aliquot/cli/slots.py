"""Draws a GPU as its memory slots, with what is cut there and which pod holds it. Pure text, no terminal."""

from collections.abc import Sequence

from aliquot.kube.api.gpunode import GPUInstance, GPUShares, GPUStatus, Health, MigMode

FREE = "·"


def draw(gpu: GPUStatus, memory_slots: int, *, cell_width: int = 9) -> tuple[str, str]:
    """Two lines of equal length: what each run of slots is, and who holds it.

    A GPU without MIG is one run over all slots:

    >>> top, bottom = draw(whole, 2)      # doctest: +SKIP
    ┃whole GPU          ┃
    ┃default/train      ┃
    """
    if gpu.health is not Health.HEALTHY:
        return rows([("unhealthy", gpu.reason, memory_slots)], cell_width)
    if gpu.mig_mode not in (MigMode.ENABLED, MigMode.PENDING_DISABLE):
        return rows([(_shared("whole GPU", gpu.shares), _holders(gpu.pods), memory_slots)], cell_width)
    cells: list[tuple[str, str, int]] = []
    at = 0
    for instance in sorted(_first_of_each_slot(gpu.instances), key=lambda i: i.start):
        cells += [("", "", 1)] * (instance.start - at)
        cells.append((_shared(instance.profile, instance.shares), _holders(instance.pods), instance.size))
        at = instance.start + instance.size
    cells += [("", "", 1)] * (memory_slots - at)
    return rows(cells, cell_width)


def _first_of_each_slot(instances: list[GPUInstance]) -> list[GPUInstance]:
    """Several compute instances may share one GPU instance's slots; the drawing shows the first."""
    by_start: dict[int, GPUInstance] = {}
    for instance in instances:
        by_start.setdefault(instance.start, instance)
    return list(by_start.values())


def _shared(what: str, shares: GPUShares | None) -> str:
    """`whole GPU, 3/4 timeSlicing` where three of four shares are held."""
    return what if shares is None else f"{what}, {told(shares)}"


def told(shares: GPUShares) -> str:
    return f"{sum(held.shares for held in shares.held)}/{shares.replicas} {shares.strategy}"


def _holders(pods: list[str]) -> str:
    return ", ".join(pod.partition("/")[2] or pod for pod in pods) or FREE


def rows(cells: Sequence[tuple[str, str, int]], cell_width: int = 9) -> tuple[str, str]:
    """Runs of slots as two lines: (what, who, how many slots) of each."""
    top = bottom = "┃"
    for what, who, slots in cells:
        width = slots * cell_width + (slots - 1)
        top += _fit(what, width) + "┃"
        bottom += _fit(who, width) + "┃"
    return top, bottom


def _fit(text: str, width: int) -> str:
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)
