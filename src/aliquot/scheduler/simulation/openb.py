"""Reads the node and pod lists of Alibaba's GPU trace of 2023 ("openb"), as CSV."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task
from aliquot.scheduler.simulation.trace import Node, Pod, TraceError

_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
"""`gpu_spec` may be missing; others are not looked at."""


def read_nodes(lines: Iterable[str], *, source: str) -> list[Node]:
    """Raises TraceError."""
    found: dict[str, Node] = {}
    for line in _lines(lines, _NODE_COLUMNS, source):
        gpus, model = line.count("gpu"), line.text("model")
        if gpus and not model:
            raise line.error("model", "is empty, but the node has GPUs")
        node = Node(line.name("sn"), line.count("cpu_milli"), line.count("memory_mib"), gpus, model)
        if node.name in found:
            raise line.error("sn", f"'{node.name}' is there twice")
        found[node.name] = node
    if not found:
        raise TraceError(f"{source}: no nodes")
    return list(found.values())


def read_pods(lines: Iterable[str], *, source: str) -> list[Pod]:
    """Raises TraceError."""
    found: dict[str, Pod] = {}
    for line in _lines(lines, _POD_COLUMNS, source):
        gpus, gpu_milli = line.count("num_gpu"), line.count("gpu_milli")
        if gpu_milli > WHOLE_MILLI:
            raise line.error("gpu_milli", f"is {gpu_milli}; a GPU has {WHOLE_MILLI}")
        if (gpus == 0) != (gpu_milli == 0):
            raise line.error("gpu_milli", f"is {gpu_milli}, but num_gpu is {gpus}")
        if gpus > 1 and gpu_milli < WHOLE_MILLI:
            raise line.error(
                "gpu_milli", f"is {gpu_milli} of {gpus} GPUs; only one GPU can be asked for in part"
            )
        models = frozenset(filter(None, line.text("gpu_spec").split("|")))
        task = Task(line.count("cpu_milli"), gpu_milli, gpus, models)
        pod = Pod(line.name("name"), task, line.count("memory_mib"))
        if pod.name in found:
            raise line.error("name", f"'{pod.name}' is there twice")
        found[pod.name] = pod
    if not found:
        raise TraceError(f"{source}: no pods")
    return list(found.values())


class _Line:
    def __init__(self, source: str, number: int, cells: Mapping[str, str]) -> None:
        self._place = f"{source}:{number}"
        self._cells = cells

    def error(self, column: str, what: str) -> TraceError:
        return TraceError(f"{self._place}: {column} {what}")

    def text(self, column: str) -> str:
        return self._cells.get(column, "")

    def name(self, column: str) -> str:
        if not (text := self.text(column)):
            raise self.error(column, "is empty")
        return text

    def count(self, column: str) -> int:
        text = self.text(column)
        if not (text.isascii() and text.isdecimal()):
            raise self.error(column, f"is '{text}', not a whole number from 0 on")
        return int(text)


def _lines(lines: Iterable[str], needed: Sequence[str], source: str) -> Iterator[_Line]:
    rows = csv.reader(lines)
    columns = next(rows, [])
    missing = [column for column in needed if column not in columns]
    if missing:
        raise TraceError(f"{source}:1: no column {', '.join(missing)}; needed are {', '.join(needed)}")
    for cells in rows:
        if not cells:
            continue
        if len(cells) != len(columns):
            raise TraceError(f"{source}:{rows.line_num}: {len(cells)} cells under {len(columns)} columns")
        yield _Line(source, rows.line_num, dict(zip(columns, cells, strict=True)))
