"""A job a line, as JSON: `{"submit_s": 0, "runtime_s": 3600, "gpus": 8}`.

| field | |
| --- | --- |
| submit_s, runtime_s | seconds |
| gpus | of each pod; 1 |
| pods | all needed together; 1 |
| estimate_s | how long its owner says that it runs; left out: nothing is said |
| queue, user, priority | |
| name | left out: by its line |
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from aliquot.scheduler.simulation.timed.workload import TracedJob, Workload
from aliquot.scheduler.simulation.trace import TraceError

_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Above = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    submit_s: _Seconds
    runtime_s: _Above
    gpus: Annotated[int, msgspec.Meta(ge=0)] = 1
    pods: _Count = 1
    estimate_s: _Above | None = None
    queue: str = ""
    user: str = ""
    priority: int = 0
    name: str = ""


def read_jobs(lines: Iterable[str], *, source: str) -> Workload:
    decoder = msgspec.json.Decoder(_Line)
    found: dict[str, TracedJob] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        place = f"{source}:{number}"
        try:
            line = decoder.decode(text)
        except msgspec.DecodeError as error:
            raise TraceError(f"{place}: {error}") from error
        name = line.name or f"job-{number}"
        if name in found:
            raise TraceError(f"{place}: name '{name}' is there twice")
        found[name] = TracedJob(
            name=name,
            submit_s=line.submit_s,
            runtime_s=line.runtime_s,
            gpus=line.gpus,
            pods=line.pods,
            estimate_s=line.estimate_s,
            queue=line.queue,
            user=line.user,
            priority=line.priority,
        )
    if not found:
        raise TraceError(f"{source}: no jobs")
    return Workload(sorted(found.values(), key=lambda job: job.submit_s))
