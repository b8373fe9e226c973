"""Completion indexes of an Indexed Job, written as Kubernetes writes them: `0,2-4,7`."""

from collections.abc import Iterable

from aliquot.kube.api.core import Pod

LABEL = "batch.kubernetes.io/job-completion-index"


def parse(text: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(
        str(first) if first == last else f"{first}{_joint(first, last)}{last}" for first, last in runs
    )


def _joint(first: int, last: int) -> str:
    """Two neighbours are listed, longer runs are a range."""
    return "," if last == first + 1 else "-"


def of_pod(pod: Pod) -> int | None:
    text = (pod.metadata.annotations or {}).get(LABEL, "")
    return int(text) if text.isdigit() else None
