from dataclasses import replace

import pytest

from aliquot.gpu import boards
from aliquot.gpu.arrangement import arrange
from aliquot.gpu.demands import counted, demands
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import Refusal
from aliquot.gpu.mig_config.device_filter import DeviceFilter
from aliquot.gpu.mig_config.file import Entry, MigConfigFile, parse, spell
from aliquot.gpu.mig_config.generate import Kind, config_name, generate, kind_of_board, kinds_of_gpus
from aliquot.gpu.simulated import SimulatedDriver

CUTTABLE = [board.key for board in boards.boards() if kind_of_board(board).profiles]


def kind(key: str) -> Kind:
    return kind_of_board(boards.board(key))


def counts(file: MigConfigFile) -> dict[str, dict[str, int]]:
    """Of configurations that have one entry for all, without filter."""
    found = {}
    for name, (entry,) in file.configs.items():
        assert entry == Entry(entry.mig_enabled, counts=entry.counts)
        found[name] = dict(entry.counts)
    return found


# --- one kind of GPU ---


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            "a30-24gb",
            {
                "all-1g.6gb": {"1g.6gb": 4},
                "all-1g.6gb.me": {"1g.6gb+me": 1},
                "all-2g.12gb": {"2g.12gb": 2},
                "all-2g.12gb.me": {"2g.12gb+me": 1},
                "all-4g.24gb": {"4g.24gb": 1},
                "all-balanced": {"1g.6gb": 2, "2g.12gb": 1},
            },
        ),
        (
            "a100-40gb",
            {
                "all-1g.5gb": {"1g.5gb": 7},
                "all-1g.5gb.me": {"1g.5gb+me": 1},
                "all-1g.10gb": {"1g.10gb": 4},
                "all-2g.10gb": {"2g.10gb": 3},
                "all-3g.20gb": {"3g.20gb": 2},
                "all-4g.20gb": {"4g.20gb": 1},
                "all-7g.40gb": {"7g.40gb": 1},
                "all-balanced": {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1},
            },
        ),
        (
            "h100-94gb",
            {
                "all-1g.12gb": {"1g.12gb": 7},
                "all-1g.12gb.me": {"1g.12gb+me": 1},
                "all-1g.24gb": {"1g.24gb": 4},
                "all-2g.24gb": {"2g.24gb": 3},
                "all-3g.47gb": {"3g.47gb": 2},
                "all-4g.47gb": {"4g.47gb": 1},
                "all-7g.94gb": {"7g.94gb": 1},
                "all-balanced": {"1g.12gb": 2, "2g.24gb": 1, "3g.47gb": 1},
            },
        ),
        (
            "rtx-pro-6000-96gb",
            {
                "all-1g.24gb": {"1g.24gb": 4},
                "all-1g.24gb.me": {"1g.24gb+me": 1},
                "all-1g.24gb.gfx": {"1g.24gb+gfx": 4},
                "all-1g.24gb.me.all": {"1g.24gb+me.all": 1},
                "all-1g.24gb-me": {"1g.24gb-me": 4},
                "all-2g.48gb": {"2g.48gb": 2},
                "all-2g.48gb.gfx": {"2g.48gb+gfx": 2},
                "all-2g.48gb.me.all": {"2g.48gb+me.all": 1},
                "all-2g.48gb-me": {"2g.48gb-me": 2},
                "all-4g.96gb": {"4g.96gb": 1},
                "all-4g.96gb.gfx": {"4g.96gb+gfx": 1},
                "all-balanced": {"1g.24gb": 2, "2g.48gb": 1},
            },
        ),
    ],
)
def test_one_kind_has_a_configuration_for_each_profile(key: str, expected: dict[str, dict[str, int]]) -> None:
    generated = generate([kind(key)])
    assert counts(generated) == {"all-disabled": {}, "all-enabled": {}} | expected
    on = {name: entry.mig_enabled for name, (entry,) in generated.configs.items()}
    assert [name for name in on if not on[name]] == ["all-disabled"]


@pytest.mark.parametrize(
    ("key", "balanced"),
    [
        ("a30-24gb", {"1g.6gb": 2, "2g.12gb": 1}),
        ("a100-40gb", {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}),
        ("a100-80gb", {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}),
        ("h100-80gb", {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}),
        ("h100-94gb", {"1g.12gb": 2, "2g.24gb": 1, "3g.47gb": 1}),
        ("gh200-96gb", {"1g.12gb": 2, "2g.24gb": 1, "3g.48gb": 1}),
        ("h200-141gb", {"1g.18gb": 2, "2g.35gb": 1, "3g.71gb": 1}),
        ("b200-180gb", {"1g.23gb": 2, "2g.45gb": 1, "3g.90gb": 1}),
        ("gb200", {"1g.23gb": 2, "2g.47gb": 1, "3g.93gb": 1}),
        ("gb300", {"1g.35gb": 2, "2g.70gb": 1, "3g.139gb": 1}),
        ("rtx-pro-6000-96gb", {"1g.24gb": 2, "2g.48gb": 1}),
    ],
)
def test_balanced_has_a_bit_of_each(key: str, balanced: dict[str, int]) -> None:
    assert counts(generate([kind(key)]))["all-balanced"] == balanced


def profiles(*shapes: tuple[str, int, int, frozenset[str]]) -> tuple[InstanceProfile, ...]:
    """(name, compute slices, most, attributes)"""
    return tuple(
        InstanceProfile(number, name, slices, slices, None, None, most, (), (), attributes)
        for number, (name, slices, most, attributes) in enumerate(shapes)
    )


PLAIN, MEDIA = frozenset[str](), frozenset({"me"})


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param([("1g.16gb", 1, 1, PLAIN), ("2g.32gb", 2, 1, PLAIN)], id="two slots"),
        pytest.param(
            [("1g.10gb", 1, 1, PLAIN), ("3g.40gb", 3, 1, PLAIN), ("7g.80gb", 7, 1, PLAIN)], id="no 2g"
        ),
        pytest.param(
            [
                ("1g.10gb", 1, 1, PLAIN),
                ("2g.20gb+me", 2, 1, MEDIA),
                ("3g.40gb", 3, 1, PLAIN),
                ("7g", 7, 1, PLAIN),
            ],
            id="2g with attributes only",
        ),
        pytest.param([("1g.10gb+me", 1, 1, MEDIA), ("2g.20gb+me", 2, 1, MEDIA)], id="attributes only"),
        pytest.param([], id="no profile"),
    ],
)
def test_where_a_needed_profile_is_missing_nothing_is_balanced(
    offered: list[tuple[str, int, int, frozenset[str]]],
) -> None:
    assert "all-balanced" not in generate([Kind((), profiles(*offered))]).configs


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("1g.10gb", "all-1g.10gb"),
        ("1g.10gb+me", "all-1g.10gb.me"),
        ("1g.24gb+me.all", "all-1g.24gb.me.all"),
        ("1g.24gb-me", "all-1g.24gb-me"),
    ],
)
def test_names_can_be_values_of_labels(profile: str, name: str) -> None:
    assert config_name(profile) == name


@pytest.mark.parametrize("key", CUTTABLE)
def test_all_that_is_generated_fits_and_no_more_of_one_profile_does(key: str) -> None:
    offered = kind(key).profiles
    for name, wanted in counts(generate([kind(key)])).items():
        assert not isinstance(arrange(offered, (), demands(counted(wanted, offered), offered)), Refusal), name
        if len(wanted) == 1:
            more = {profile: count + 1 for profile, count in wanted.items()}
            assert isinstance(arrange(offered, (), demands(counted(more, offered), offered)), Refusal), name


# --- several kinds ---


def filters(*keys: str) -> tuple[DeviceFilter, ...]:
    texts = sorted(text for key in keys for text in kind(key).filters)
    return tuple(DeviceFilter.parse(text) for text in texts)


def test_kinds_with_the_same_profile_share_an_entry_for_it() -> None:
    generated = generate([kind("h100-80gb"), kind("a100-80gb")]).configs
    assert generated["all-1g.10gb"] == (Entry(True, None, filters("a100-80gb", "h100-80gb"), {"1g.10gb": 7}),)
    assert generated["all-disabled"] == (Entry(False),)
    assert generated["all-enabled"] == (Entry(True),)


def test_kinds_that_take_different_numbers_of_a_profile_have_entries_of_their_own() -> None:
    generated = generate([kind("a100-80gb"), kind("a100-40gb")]).configs
    assert generated["all-1g.10gb"] == (
        Entry(True, None, filters("a100-40gb"), {"1g.10gb": 4}),
        Entry(True, None, filters("a100-80gb"), {"1g.10gb": 7}),
    )
    assert generated["all-1g.5gb"] == (Entry(True, None, filters("a100-40gb"), {"1g.5gb": 7}),)


def test_each_kind_is_balanced_in_its_own_entry() -> None:
    generated = generate([kind("a100-80gb"), kind("h100-80gb"), kind("a30-24gb")]).configs
    seven = {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}
    assert generated["all-balanced"] == (
        Entry(True, None, filters("a100-80gb"), seven),
        Entry(True, None, filters("h100-80gb"), seven),
        Entry(True, None, filters("a30-24gb"), {"1g.6gb": 2, "2g.12gb": 1}),
    )


def test_kinds_that_cannot_be_told_apart_are_refused() -> None:
    nameless = Kind((), kind("a30-24gb").profiles)
    with pytest.raises(ValueError, match="one without a device id"):
        generate([kind("h100-80gb"), nameless])


# --- the file that mig-parted brings along ---

NAMES_OF_MIG_PARTED = """
disabled enabled balanced
1g.5gb 1g.5gb.me 1g.6gb 1g.6gb.me 1g.10gb 1g.10gb.me 1g.12gb 1g.12gb.me 1g.18gb 1g.18gb.me 1g.20gb
1g.23gb 1g.23gb.me 1g.24gb 1g.24gb.me 1g.24gb.gfx 1g.24gb.me.all 1g.24gb-me 1g.34gb 1g.34gb.me
1g.35gb 1g.35gb.me 1g.36gb 1g.45gb 1g.47gb 1g.67gb 1g.70gb
2g.10gb 2g.12gb 2g.12gb.me 2g.20gb 2g.24gb 2g.35gb 2g.36gb 2g.45gb 2g.47gb
2g.48gb 2g.48gb.gfx 2g.48gb.me.all 2g.48gb-me 2g.67gb 2g.70gb
3g.20gb 3g.40gb 3g.47gb 3g.48gb 3g.71gb 3g.72gb 3g.90gb 3g.93gb 3g.95gb 3g.135gb 3g.139gb
4g.20gb 4g.24gb 4g.40gb 4g.47gb 4g.48gb 4g.71gb 4g.72gb 4g.90gb 4g.93gb 4g.95gb 4g.96gb 4g.96gb.gfx 4g.135gb 4g.139gb
7g.40gb 7g.80gb 7g.94gb 7g.96gb 7g.141gb 7g.144gb 7g.180gb 7g.186gb 7g.189gb 7g.269gb 7g.278gb
"""
OLDER_DRIVERS = {"all-3g.95gb", "all-4g.95gb", "all-7g.189gb"}
"""Names of a board under drivers before those that the catalogue has them from."""


def everything() -> MigConfigFile:
    return generate([kind(key) for key in CUTTABLE])


def test_all_boards_together_have_the_names_that_mig_parted_brings_along() -> None:
    named = {f"all-{name}" for name in NAMES_OF_MIG_PARTED.split()}
    assert set(everything().configs) == named - OLDER_DRIVERS


@pytest.mark.parametrize(
    ("name", "board", "count"),
    [
        ("all-1g.10gb", "a100-40gb", 4),
        ("all-1g.10gb", "h100-80gb", 7),
        ("all-1g.35gb", "h200-141gb", 4),
        ("all-1g.35gb", "gb300", 7),
        ("all-2g.12gb", "a30-24gb", 2),
        ("all-1g.24gb", "rtx-pro-6000-96gb", 4),
        ("all-1g.24gb", "gh200-96gb", 4),
        ("all-7g.96gb", "h20-96gb", 1),
    ],
)
def test_one_name_means_what_each_board_has_of_it(name: str, board: str, count: int) -> None:
    (found,) = [one for one in everything().configs[name] if set(filters(board)) <= set(one.filters)]
    assert list(found.counts.values()) == [count]


def test_what_is_generated_is_a_good_file() -> None:
    assert parse(spell(everything()), source="f") == everything()


def test_gpus_that_no_filter_can_tell_are_left_out_beside_others() -> None:
    driver = SimulatedDriver([InventoryGpus("h100-80gb", 2), InventoryGpus("a30-24gb")], node="n")
    found = [(gpu, tuple(driver.instance_profiles(gpu.uuid))) for gpu in driver.gpus()]
    assert [kind.filters for kind in kinds_of_gpus(found)] == [("0x233010DE",), ("0x20B710DE",)]
    unknown = [(replace(gpu, pci_device_id=None), profiles) for gpu, profiles in found[:1]]
    assert [kind.filters for kind in kinds_of_gpus(unknown)] == [()]
    assert [kind.filters for kind in kinds_of_gpus([*unknown, found[2]])] == [("0x20B710DE",)]
