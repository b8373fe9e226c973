"""Traces of Microsoft's Philly clusters in the form that Gavel (OSDI 2020) has them.

A line is a job: type, command, two flags, steps, arrival in seconds, GPUs; with tabs between them. How long it runs follows
from a table of steps a second, by GPU model, type and number of GPUs.
"""

import json
from ast import literal_eval
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from aliquot.scheduler.simulation.timed.workload import TracedJob, Workload, split
from aliquot.scheduler.simulation.trace import TraceError

MODEL = "v100"
_ALONE = "null"
_CELLS = 7

Throughputs: TypeAlias = Mapping[str, Mapping[int, float]]
"""Steps a second, by job type and number of GPUs."""


def read_throughputs(text: str, source: str, model: str = MODEL) -> Throughputs:
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise TraceError(f"{source}: no JSON: {error}") from error
    try:
        found: dict[str, dict[int, float]] = {}
        for name, rates in document[model].items():
            kind, gpus = literal_eval(name)
            found.setdefault(kind, {})[int(gpus)] = float(rates[_ALONE])
    except (LookupError, TypeError, ValueError, SyntaxError, AttributeError) as error:
        raise TraceError(
            f"{source}: not a table of throughputs by model, job type and GPUs with '{model}' in it: {error!r}"
        ) from error
    return found


def read_jobs(
    lines: Iterable[str], throughputs: Throughputs, *, source: str, gpus_per_node: int = 8
) -> Workload:
    """Of numbers of GPUs that the table lacks the throughput is that of the largest that it has, per GPU."""
    jobs: list[TracedJob] = []
    made_up = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{source}:{number}"
        cells = line.rstrip("\n").split("\t")
        if len(cells) != _CELLS:
            raise TraceError(f"{place}: {len(cells)} cells with tabs between them; a job has {_CELLS}")
        kind = cells[0]
        steps, arrival_s = _number(cells[4], "steps", place), _number(cells[5], "arrival", place)
        gpus = int(_number(cells[6], "GPUs", place))
        rates = throughputs.get(kind)
        if rates is None:
            raise TraceError(f"{place}: job type '{kind}' is not in the table of throughputs")
        if gpus < 1:
            raise TraceError(f"{place}: GPUs is {gpus}; at least 1")
        rate = rates.get(gpus)
        if rate is None:
            made_up += 1
            largest = max(rates)
            rate = rates[largest] * gpus / largest
        pods, each = split(gpus, gpus_per_node)
        jobs.append(TracedJob(f"job-{number}", arrival_s, steps / rate, each, pods))
    if not jobs:
        raise TraceError(f"{source}: no jobs")
    jobs.sort(key=lambda job: job.submit_s)
    remark = f"{made_up} of {len(jobs)} jobs have a number of GPUs that the table lacks: throughput scaled up"
    return Workload(jobs, (remark,) if made_up else ())


def _number(text: str, what: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise TraceError(f"{place}: {what} is '{text}', not a number from 0 on")
    return value
