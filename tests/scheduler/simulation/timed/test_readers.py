"""Traces of jobs over time: what is read, and what is said of a line that cannot be."""

import json

import pytest

from aliquot.scheduler.simulation.timed import jsonl, philly
from aliquot.scheduler.simulation.timed.workload import TracedJob, split
from aliquot.scheduler.simulation.trace import TraceError

TABLE = {"v100": {"('A', 1)": {"null": 2.0}, "('A', 4)": {"null": 6.0}, "('A', 8)": {"null": 8.0}}}
RATES = philly.read_throughputs(json.dumps(TABLE), "t.json")


def line(kind: str = "A", steps: str = "120", arrival: str = "5.0", gpus: str = "1") -> str:
    return "\t".join((kind, "python3 train.py", "-n", "1", steps, arrival, gpus)) + "\n"


@pytest.mark.parametrize(
    ("gpus", "pods", "each", "runtime_s"),
    [("1", 1, 1, 60), ("4", 1, 4, 20), ("8", 1, 8, 15), ("16", 2, 8, 7.5), ("12", 2, 6, 10), ("20", 4, 5, 6)],
)
def test_a_philly_job(gpus: str, pods: int, each: int, runtime_s: float) -> None:
    workload = philly.read_jobs([line(gpus=gpus)], RATES, source="t")
    assert workload.jobs == [TracedJob("job-1", 5.0, runtime_s, each, pods)]
    assert bool(workload.remarks) is (gpus not in ("1", "4", "8"))


def test_philly_jobs_are_in_the_order_of_arrival() -> None:
    workload = philly.read_jobs([line(arrival="9"), "\n", line(arrival="3")], RATES, source="t")
    assert [(job.name, job.submit_s) for job in workload.jobs] == [("job-3", 3), ("job-1", 9)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A\t1\n", "t:2: 2 cells with tabs between them; a job has 7"),
        (line(kind="B"), "t:2: job type 'B' is not in the table of throughputs"),
        (line(steps="many"), "t:2: steps is 'many', not a number from 0 on"),
        (line(arrival="-1"), "t:2: arrival is '-1', not a number from 0 on"),
        (line(gpus="0"), "t:2: GPUs is 0; at least 1"),
        (line(gpus="nan"), "t:2: GPUs is 'nan', not a number from 0 on"),
    ],
)
def test_a_philly_line_that_cannot_be_read(text: str, told: str) -> None:
    with pytest.raises(TraceError) as caught:
        philly.read_jobs([line(), text], RATES, source="t")
    assert str(caught.value) == told


def test_a_trace_without_jobs() -> None:
    with pytest.raises(TraceError, match="t: no jobs"):
        philly.read_jobs(["\n"], RATES, source="t")
    with pytest.raises(TraceError, match="t: no jobs"):
        jsonl.read_jobs([], source="t")


@pytest.mark.parametrize("text", ["{", "[]", '{"k80": {}}', '{"v100": {"A": {"null": 1}}}'])
def test_a_table_of_throughputs_that_cannot_be_read(text: str) -> None:
    with pytest.raises(TraceError, match=r"^t\.json: "):
        philly.read_throughputs(text, "t.json")


def test_json_lines() -> None:
    text = """{"submit_s": 9, "runtime_s": 60}

{"submit_s": 1, "runtime_s": 2, "gpus": 8, "pods": 2, "estimate_s": 5, "queue": "q", "user": "u", "priority": 3, "name": "n"}
"""
    assert jsonl.read_jobs(text.splitlines(), source="t").jobs == [
        TracedJob("n", 1, 2, 8, 2, 5, "q", "u", 3),
        TracedJob("job-1", 9, 60, 1),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "t:2: Input data was truncated"),
        ('{"submit_s": 0}', "t:2: Object missing required field `runtime_s`"),
        ('{"submit_s": 0, "runtime_s": 0}', "t:2: Expected `float` > 0.0 - at `$.runtime_s`"),
        ('{"submit_s": 0, "runtime_s": 1, "pods": 0}', "t:2: Expected `int` >= 1 - at `$.pods`"),
        ('{"submit_s": 0, "runtime_s": 1, "gpu": 1}', "t:2: Object contains unknown field `gpu`"),
        ('{"submit_s": 0, "runtime_s": 1, "name": "job-1"}', "t:2: name 'job-1' is there twice"),
    ],
)
def test_a_json_line_that_cannot_be_read(text: str, told: str) -> None:
    with pytest.raises(TraceError) as caught:
        jsonl.read_jobs(['{"submit_s": 0, "runtime_s": 1}', text], source="t")
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("gpus", "most", "parts"),
    [(1, 8, (1, 1)), (8, 8, (1, 8)), (9, 8, (3, 3)), (16, 4, (4, 4)), (7, 4, (7, 1))],
)
def test_a_job_in_pods_of_one_size(gpus: int, most: int, parts: tuple[int, int]) -> None:
    assert split(gpus, most) == parts
