"""What the validator's pod does with libcuda: with a library of C, for the sake of the types that are passed."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.node.validation import vector_add as subject
from aliquot.node.validation.vector_add import CudaError, Done, WrongSum, load, vector_add


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the fake libcuda with")
    target = tmp_path_factory.mktemp("fake_cuda") / "libcuda.so.1"
    source = Path(__file__).parent / "fake_cuda/fake_cuda.c"
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", target, source], check=True)
    return load(str(target))


@pytest.mark.parametrize("count", [1, 255, 256, 257, 100_000])
def test_numbers_are_added_and_everything_is_given_back(library: ctypes.CDLL, count: int) -> None:
    library.fake_begin(1)
    assert vector_add(library, count) == Done("NVIDIA Fake 1", count)
    assert library.fake_held() == 0


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (
            "cuInit",
            100,
            "cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected): no GPU was given to",
        ),
        ("cuInit", 803, "cuInit: error 803: the driver and libcuda are not of one version"),
        ("cuInit", 802, "cuInit: error 802: the fabric between the GPUs is not up: see nv-fabricmanager"),
        ("cuDeviceGetName", 1, "cuDeviceGetName: error 1"),
        ("cuDevicePrimaryCtxRetain", 2, "cuDevicePrimaryCtxRetain: error 2: another process has its memory"),
        ("cuModuleLoadData", 218, "cuModuleLoadData: CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed)"),
        ("cuMemAlloc_v2", 2, "cuMemAlloc_v2: error 2: another process has its memory"),
        ("cuMemcpyHtoD_v2", 700, "cuMemcpyHtoD_v2: error 700"),
        ("cuLaunchKernel", 719, "cuLaunchKernel: error 719"),
        ("cuCtxSynchronize", 700, "cuCtxSynchronize: error 700"),
        ("cuMemcpyDtoH_v2", 700, "cuMemcpyDtoH_v2: error 700"),
    ],
)
def test_a_call_that_fails_is_named(library: ctypes.CDLL, call: str, code: int, message: str) -> None:
    library.fake_begin(1)
    library.fake_fail(call.encode(), code)
    with pytest.raises(CudaError) as told:
        vector_add(library, 1000)
    assert str(told.value).startswith(message)
    assert library.fake_held() == 0


def test_no_gpu(library: ctypes.CDLL) -> None:
    library.fake_begin(0)
    with pytest.raises(CudaError, match="no GPU was given to this container"):
        vector_add(library, 10)


def test_a_gpu_that_counts_wrong_is_told(library: ctypes.CDLL) -> None:
    library.fake_begin(1)
    library.fake_wrong(ctypes.c_long(7))
    with pytest.raises(WrongSum, match="NVIDIA Fake 1 adds wrong: 1 of 1000 sums; 7 \\+ 14 gave 22"):
        vector_add(library, 1000)
    assert library.fake_held() == 0


def test_an_old_library_is_told() -> None:
    with pytest.raises(CudaError, match="cuInit: this libcuda does not have it"):
        vector_add(ctypes.CDLL(None), 10)


def test_a_container_without_libcuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "load", lambda: load("libcuda.so.none"))
    done = CliRunner().invoke(cli, ["node", "workload"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: libcuda.so.none cannot be loaded")
    assert len(done.stderr.splitlines()) == 1


def test_the_command_says_what_it_did(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    library.fake_begin(1)
    monkeypatch.setattr(subject, "load", lambda: library)
    done = CliRunner().invoke(cli, ["node", "workload"])
    assert (done.exit_code, done.stdout) == (0, "1048576 numbers added on NVIDIA Fake 1\n")
