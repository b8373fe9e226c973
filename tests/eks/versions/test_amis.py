"""What is in an AMI's release: the field note's table of branches by date, and what lies between its rows."""

import pytest

from aliquot.eks.versions import amis
from aliquot.eks.versions.minor import Minor

AL2023, AL2, BOTTLEROCKET = "AL2023_x86_64_NVIDIA", "AL2_x86_64_GPU", "BOTTLEROCKET_x86_64_NVIDIA"


@pytest.mark.parametrize(
    ("release", "branch"),
    [
        ("1.29.8-20240924", 560),
        ("1.31.5-20250409", 560),
        ("1.31.5-20250410", 570),
        ("1.31.7-20250715", 575),
        ("1.31.11-20250807", 570),
        ("1.31.13-20251107", 570),
        ("1.31.13-20251108", 580),
        ("1.32.9-20251108", 580),
        ("1.30.14-20251119", 570),
        ("1.30.14-20251120", 580),
        ("1.33.5-20251028", 570),
        ("1.33.5-20251029", 580),
        ("1.34.0-20250915", 570),
        ("1.34.1-20251023", 580),
        ("1.36.1-20260610", 580),
        ("1.28.15-20251112", 570),
    ],
)
def test_the_date_decides(release: str, branch: int) -> None:
    contents = amis.of_release(AL2023, Minor(1, 99), release)
    assert contents is not None
    assert contents.driver[0] == branch
    assert not contents.assumed


def test_all_that_is_told_of_a_release() -> None:
    contents = amis.of_release(AL2023, Minor(1, 32), "1.32.13-20260701")
    assert contents is not None
    assert (contents.driver, contents.containerd, contents.toolkit) == ((580, 159, 3), "2.2", "1.19.1")
    assert contents.kernel == "6.1"


def test_a_release_that_came_after_the_table_is_assumed_to_go_on() -> None:
    contents = amis.of_release(AL2023, Minor(1, 31), "1.31.14-20260901")
    assert contents is not None
    assert (contents.driver[0], contents.assumed) == (580, True)


@pytest.mark.parametrize(
    ("ami_type", "release"),
    [
        (AL2023, "1.31.0-20240101"),
        (AL2023, ""),
        (AL2023, "ami-0123"),
        ("AL2023_x86_64_STANDARD", "1.31.14-20260701"),
        ("CUSTOM", "1.31.14-20260701"),
        (BOTTLEROCKET, "1.31.14-20260701x"),
    ],
)
def test_releases_of_which_nothing_is_known(ami_type: str, release: str) -> None:
    assert amis.of_release(ami_type, Minor(1, 31), release) is None


def test_bottlerocket_goes_by_its_own_version() -> None:
    for release, branch in (("1.37.0-aaaa", 535), ("1.38.0-bbbb", 570), ("1.53.0-1a2b3c4d", 580)):
        contents = amis.of_release(BOTTLEROCKET, Minor(1, 31), release)
        assert contents is not None
        assert contents.driver == (branch,)


@pytest.mark.parametrize(
    ("ami_type", "minor", "branch", "assumed"),
    [
        (AL2023, "1.32", 580, False),
        (AL2023, "1.28", 570, False),
        (AL2023, "1.37", 580, True),
        (AL2023, "1.20", None, False),
        (AL2, "1.32", 570, False),
        (AL2, "1.33", None, False),
        (BOTTLEROCKET, "1.34", 580, False),
        ("BOTTLEROCKET_ARM_64_NVIDIA_FIPS", "1.34", 580, False),
        ("CUSTOM", "1.32", None, False),
    ],
)
def test_the_newest(ami_type: str, minor: str, branch: int | None, assumed: bool) -> None:
    contents = amis.newest(ami_type, Minor.parse(minor))
    assert (contents.driver[0] if contents else None) == branch
    assert (contents.assumed if contents else False) == assumed


def test_the_first_release_with_a_driver_is_after_every_step_back() -> None:
    """575 came in July 2025, and went in August."""
    first = amis.first_with(AL2023, Minor(1, 31), (571,))
    assert first is not None
    assert first.release == "1.31.13-20251108"
    assert amis.first_with(AL2023, Minor(1, 31), (595,)) is None


def test_the_whole_table_can_be_read() -> None:
    for minor in (Minor(1, number) for number in range(28, 37)):
        releases = amis.releases(AL2023, minor)
        assert releases
        dates = [one.release.rpartition("-")[2] for one in releases]
        assert dates == sorted(set(dates))
        assert dates[-1] <= amis.AS_OF
