"""What the benchmark of sharing makes of its figures, and how it runs its processes; no GPU is needed."""

import sys

import pytest

from benchmarks import sharing
from benchmarks.sharing import (
    Measured,
    SharedGpu,
    WorkerFailed,
    fairness,
    first_listed,
    limits,
    measured_from,
    table,
    together,
)
from benchmarks.sharing_worker import launches_ms


@pytest.mark.parametrize(
    ("values", "index"),
    [([5.0], 1.0), ([3.0, 3.0, 3.0], 1.0), ([4.0, 0.0], 0.5), ([1.0, 3.0], 0.8), ([0.0, 0.0], 0.0)],
)
def test_jain_s_index(values: list[float], index: float) -> None:
    assert fairness(values) == pytest.approx(index)


def test_launches_become_rates_of_each_and_latencies_of_all() -> None:
    measured = measured_from("k", "by time", [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0]], 2.0)
    assert measured.per_second == (2.0, 1.0)
    assert measured.total_per_second == 3.0
    assert measured.took_ms == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def test_the_table_tells_each_way_in_terms_of_one_process_alone() -> None:
    lines = table(
        [
            Measured("k", "by time", 1, (100.0,), (10.0,) * 100),
            Measured("k", "MPS", 2, (90.0, 60.0), (12.0,) * 98 + (40.0,) * 2),
            Measured("k", "MIG", 2, (), (), "cuInit: no device"),
        ]
    )
    assert [line.split() for line in lines[1:3]] == [
        ["k", "by", "time", "1", "100.0", "1.00", "10.00", "10.00", "1.000"],
        ["k", "MPS", "2", "150.0", "1.50", "12.00", "40.00", "0.962"],
    ]
    assert lines[3].endswith("2   cuInit: no device")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("No devices found.\n", None),
        (
            "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1a)\nGPU 1: NVIDIA L4 (UUID: GPU-2b)\n",
            SharedGpu("NVIDIA H100 80GB HBM3", "GPU-1a", ()),
        ),
        (
            "GPU 0: NVIDIA A100 (UUID: GPU-1a)\n"
            "  MIG 3g.20gb     Device  0: (UUID: MIG-3c)\n"
            "  MIG 1g.5gb+me   Device  1: (UUID: MIG-4d)\n"
            "GPU 1: NVIDIA A100 (UUID: GPU-2b)\n"
            "  MIG 7g.40gb     Device  0: (UUID: MIG-5e)\n",
            SharedGpu("NVIDIA A100", "GPU-1a", ("MIG-3c", "MIG-4d")),
        ),
    ],
)
def test_the_first_gpu_is_taken_with_its_slices(text: str, found: SharedGpu | None) -> None:
    assert first_listed(text) == found


def test_the_first_slice_stands_for_a_gpu_with_mig() -> None:
    assert SharedGpu("p", "GPU-1", ()).device == "GPU-1"
    assert SharedGpu("p", "GPU-1", ("MIG-2", "MIG-3")).device == "MIG-2"


def test_each_client_of_mps_is_limited_to_its_part() -> None:
    assert limits(7)["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "14"


def test_launches_are_counted_that_begin_in_time() -> None:
    times = iter([0.0, 0.0, 0.25, 0.25, 0.75, 0.75, 1.5, 1.5])
    assert launches_ms(lambda: None, 1.0, lambda: next(times)) == [250.0, 500.0, 750.0]


def test_processes_start_when_all_are_ready_and_have_their_own_environment() -> None:
    program = (
        "import os, sys; print('ready', flush=True); sys.stdin.readline(); print([int(os.environ['N'])])"
    )
    found = together([sys.executable, "-c", program], [{"N": "1"}, {"N": "2"}], 0.0)
    assert found == [[1], [2]]


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.exit('cuInit: no device')",
        "import sys; print('ready', flush=True); sys.stdin.readline(); sys.exit('cuInit: no device')",
    ],
    ids=["before", "amid"],
)
def test_a_process_that_fails_is_told_of_in_one_line(program: str) -> None:
    with pytest.raises(WorkerFailed, match=r"^cuInit: no device$"):
        together([sys.executable, "-c", program], [{}, {}], 0.0)


def test_without_a_gpu_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sharing, "_first_gpu", lambda: None)
    sharing.main(short=True)
    assert capsys.readouterr().out == "no NVIDIA GPU that nvidia-smi can list: nothing was measured\n"
