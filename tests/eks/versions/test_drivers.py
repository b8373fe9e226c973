"""What CUDA needs of a driver, and which GPU goes with which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.eks.versions import drivers
from aliquot.eks.versions.drivers import Cuda, Driver, Fit
from aliquot.eks.versions.minor import Minor


@pytest.mark.parametrize(
    ("written", "driver"), [("570.133.20", (570, 133, 20)), ("550.118", (550, 118)), ("580", (580,))]
)
def test_a_driver_is_its_numbers(written: str, driver: Driver) -> None:
    assert drivers.parse(written) == driver
    assert drivers.text(driver) == written


@pytest.mark.parametrize(
    "written", ["", "v570", "570.x", "57", "570.133.20.1", "570-1", "\uff15\uff17\uff10"]
)
def test_what_is_no_driver(written: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        drivers.parse(written)


@pytest.mark.parametrize("written", ["", "twelve", "12.", "12.4.1.1", "-1.0", "\uff11\uff12"])
def test_what_is_no_cuda(written: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        drivers.parse_cuda(written)


@pytest.mark.parametrize(
    ("driver", "cuda", "package", "fits"),
    [
        ("580.65.06", (13, 0), False, Fit.RUNS),
        ("580.65.06", (13, 3), False, Fit.RUNS),
        ("580", (13, 0), False, Fit.RUNS),
        ("575.57.08", (13, 0), False, Fit.TOO_OLD),
        ("575.57.08", (13, 0), True, Fit.BY_PACKAGE),
        ("560.35.03", (13, 0), True, Fit.TOO_OLD),
        ("560.35.03", (12, 8), False, Fit.RUNS),
        ("525.60.13", (12, 9), False, Fit.RUNS),
        ("520.61.05", (12, 0), False, Fit.TOO_OLD),
        ("470.182.03", (12, 4), True, Fit.BY_PACKAGE),
        ("450.80.02", (11, 8), False, Fit.RUNS),
        ("450.51.05", (11, 8), False, Fit.TOO_OLD),
        ("450.80.02", (10, 2), False, Fit.RUNS),
        ("595.71.05", (14, 0), False, Fit.UNKNOWN),
    ],
)
def test_a_driver_against_cuda(driver: str, cuda: Cuda, package: bool, fits: Fit) -> None:
    assert drivers.fit(drivers.parse(driver), cuda, package=package) is fits


@given(st.integers(450, 620), st.integers(0, 300), st.integers(11, 13), st.integers(0, 9), st.integers(1, 60))
def test_whatever_runs_runs_on_every_newer_driver(
    branch: int, number: int, major: int, minor: int, more: int
) -> None:
    if drivers.fit((branch, number), (major, minor), package=False) is Fit.RUNS:
        assert drivers.fit((branch + more, 0), (major, minor), package=False) is Fit.RUNS


def test_a_toolkit_never_asks_for_less_than_its_major() -> None:
    for major, minor in [(11, 1), (11, 8), (12, 0), (12, 4), (12, 8), (12, 9), (13, 0), (13, 3)]:
        came, least = drivers.came_with((major, minor)), drivers.least_for((major, minor))
        assert came is not None
        assert least is not None
        assert drivers.reaches(came, least)


@pytest.mark.parametrize(
    ("instance", "gpu", "least", "last"),
    [
        ("p5.48xlarge", "H100", (525,), None),
        ("p3.2xlarge", "V100", None, 580),
        ("p3dn.24xlarge", "V100", None, 580),
        ("p6-b200.48xlarge", "B200", (570, 133, 20), None),
        ("p6-b300.48xlarge", "B300", (580,), None),
        ("g7e.2xlarge", "RTX PRO 6000 Blackwell", (575, 57, 8), None),
        ("g7.2xlarge", "RTX PRO 4500 Blackwell", (595,), None),
        ("g6f.xlarge", "L4", (550,), 580),
        ("g6.xlarge", "L4", (525,), None),
        ("p2.xlarge", "K80", None, 470),
    ],
)
def test_families(instance: str, gpu: str, least: Driver | None, last: int | None) -> None:
    family = drivers.family(instance)
    assert family is not None
    assert (family.gpu, family.least, family.last_branch) == (gpu, least, last)


@pytest.mark.parametrize("instance", ["m7i.large", "g4ad.xlarge", "trn1.2xlarge", "inf2.xlarge", "p99.large"])
def test_families_without_gpus_of_nvidia(instance: str) -> None:
    assert drivers.family(instance) is None


@pytest.mark.parametrize(
    ("release", "cuda"),
    [
        ("24.05", (12, 4)),
        ("25.01", (12, 8)),
        ("25.09", (13, 0)),
        ("26.03", (13, 2)),
        ("21.12", None),
        ("27.01", None),
    ],
)
def test_ngc_containers(release: str, cuda: Cuda | None) -> None:
    assert drivers.ngc_cuda(release) == cuda


@pytest.mark.parametrize(
    ("version", "minor", "driver"),
    [
        ((1, 37), "1.31", (535,)),
        ((1, 38), "1.31", (570,)),
        ((1, 52), "1.33", (570,)),
        ((1, 52), "1.34", (580,)),
        ((1, 53), "1.31", (580,)),
        (None, "1.32", (580,)),
        ((1, 10), "1.28", None),
        (None, "1.24", None),
    ],
)
def test_bottlerocket(version: tuple[int, int] | None, minor: str, driver: Driver | None) -> None:
    assert drivers.of_bottlerocket(version, Minor.parse(minor)) == driver


def test_what_runs_all_there_is() -> None:
    assert drivers.runs_all_known((580, 65, 6))
    assert not drivers.runs_all_known((575, 57, 8))


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ((580, 159, 3), (13, 0)),
        ((570,), (12, 8)),
        ((560, 28, 2), (12, 5)),
        ((999, 1, 1), (13, 3)),
        ((390,), None),
    ],
)
def test_the_cuda_that_a_driver_says_it_is_for(driver: Driver, cuda: Cuda | None) -> None:
    assert drivers.newest_toolkit(driver) == cuda
