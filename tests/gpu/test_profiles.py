import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.gpu import boards
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.profiles import (
    BadProfileName,
    ProfileName,
    UnknownProfile,
    memory_gb,
    resolve,
    resource_name,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1g.5gb", ProfileName(1, 1, 5)),
        ("7g.80gb", ProfileName(7, 7, 80)),
        ("1c.3g.20gb", ProfileName(1, 3, 20)),
        ("1g.5gb+me", ProfileName(1, 1, 5, frozenset({"me"}))),
        ("1g.24gb+me.all", ProfileName(1, 1, 24, frozenset({"me.all"}))),
        ("1c.2g.48gb+gfx", ProfileName(1, 2, 48, frozenset({"gfx"}))),
        ("1g.24gb+gfx,me", ProfileName(1, 1, 24, frozenset({"gfx", "me"}))),
        ("1g.24gb-me", ProfileName(1, 1, 24, frozenset({"-me"}))),
        ("0g.0gb", ProfileName(0, 0, 0)),
        ("10000g.500000gb", ProfileName(10000, 10000, 500000)),
    ],
)
def test_names_read_and_print_the_same(text: str, name: ProfileName) -> None:
    assert ProfileName.parse(text) == name
    assert str(name) == text


def test_a_whole_compute_instance_is_not_spelt_out() -> None:
    assert str(ProfileName.parse("3c.3g.20gb")) == "3g.20gb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1g.5gb ",
        " 1g.5gb",
        "1g.5gb\n",
        "1g .5gb",
        "1g5gb",
        "1g.5g",
        "g.5gb",
        "1g.gb",
        "-1g.5gb",
        "1.5g.5gb",
        "01g.5gb",
        "1G.5GB",
        "0c.1g.5gb",
        "c.1g.5gb",
        "2c.1g.5gb",
        "1g.5gb+",
        "1g.5gb-",
        "1g.5gb+me,",
        "1g.5gb+,me",
        "1g.5gb+me,me",
        "1g.5gb+2me",
        "1g.5gb+nope",
        "1g.5gb-gfx",
        "1g.5gb+me-me",
        "1g.5gb-me+gfx",
        "1g.5gb+*",
        "*",
        "1g.*gb",
        "mig-1g.5gb",
        "MIG 1g.5gb",
        "\u0661g.5gb",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadProfileName, match="no MIG profile name"):
        ProfileName.parse(text)


@given(
    st.integers(1, 9),
    st.integers(0, 9),
    st.integers(0, 300),
    st.sampled_from([frozenset(), frozenset({"me"}), frozenset({"gfx", "me.all"}), frozenset({"-me"})]),
)
def test_every_name_survives_a_round_trip(c: int, more: int, memory: int, attributes: frozenset[str]) -> None:
    name = ProfileName(c, c + more, memory, attributes)
    assert ProfileName.parse(str(name)) == name


@pytest.mark.parametrize(
    ("profile", "resource"),
    [
        ("1g.5gb", "nvidia.com/mig-1g.5gb"),
        ("1g.5gb+me", "nvidia.com/mig-1g.5gb.me"),
        ("1g.24gb+me.all", "nvidia.com/mig-1g.24gb.me.all"),
        ("1g.24gb-me", "nvidia.com/mig-1g.24gb-me"),
        ("7g.80gb", "nvidia.com/mig-7g.80gb"),
    ],
)
def test_resource_names_are_nvidias(profile: str, resource: str) -> None:
    assert resource_name(profile) == resource


@pytest.mark.parametrize(
    ("memory_mib", "board_mib", "printed"),
    [
        (4864, 40960, 5),
        (9856, 40960, 10),
        (9984, 81559, 10),
        (20096, 81559, 20),
        (40448, 81559, 40),
        (81152, 81559, 80),
        (5952, 24576, 6),
        (16384, 141 * 1024, 18),
        (71168, 141 * 1024, 71),
        (1, 40960, 5),
    ],
)
def test_printed_memory_is_rounded_up_to_an_eighth_of_the_board(
    memory_mib: int, board_mib: int, printed: int
) -> None:
    assert memory_gb(memory_mib, board_mib) == printed


def profiles_of(board: str) -> tuple[InstanceProfile, ...]:
    mig = boards.board(board).mig
    assert mig
    return mig.instance_profiles()


def test_a_name_means_the_profile_that_prints_it() -> None:
    assert resolve("1g.10gb+me", profiles_of("h100-80gb")).profile_id == 20


def test_a_name_of_another_driver_means_the_profile_of_that_shape() -> None:
    known = profiles_of("gb300")
    renamed = [
        InstanceProfile(
            p.profile_id,
            f"{p.compute_slices}g.{31 * p.memory_slots}gb",
            p.compute_slices,
            p.memory_slots,
            None,
            None,
            p.max_instances,
            p.placements,
            p.compute_profiles,
            p.attributes,
        )
        for p in known
    ]
    assert resolve("1g.35gb", renamed, known).profile_id == 19
    assert resolve("1g.35gb+me", renamed, known).profile_id == 20
    assert resolve("1g.70gb", renamed, known).profile_id == 15


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownProfile) as caught:
        resolve("1g.10g", profiles_of("h100-80gb"))
    assert str(caught.value) == "the board has no profile '1g.10g'; did you mean '1g.10gb' or '1g.10gb+me'?"


def test_a_number_of_any_length_is_no_name() -> None:
    with pytest.raises(BadProfileName):
        ProfileName.parse(f"{'9' * 5000}g.10gb")
