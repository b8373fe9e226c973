import pytest

from aliquot.gpu import boards, profiles
from aliquot.gpu.boards import Board, UnknownBoard
from aliquot.gpu.profiles import ProfileName

WITH_MIG = [board for board in boards.boards() if board.mig]


def key(board: Board) -> str:
    return board.key


def test_the_catalogue_has_the_mig_boards_and_the_common_others() -> None:
    assert len(WITH_MIG) == 17
    without = [board.key for board in boards.boards() if not board.mig]
    assert without == ["t4", "v100-32gb", "a10", "l4", "l40s", "rtx-6000-ada"]


def test_keys_products_and_pci_ids_are_unique() -> None:
    for values in (
        [board.key for board in boards.boards()],
        [product for board in boards.boards() for product in board.products],
        [device for board in boards.boards() for device in board.pci_device_ids],
    ):
        assert len(values) == len(set(values))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("h100", "unknown board 'h100'; did you mean 'h100-80gb' or 'h100-94gb'?"),
        ("a100-80g", "unknown board 'a100-80g'; did you mean 'a100-80gb'?"),
        ("radeon", "unknown board 'radeon'; `aliquot gpu boards` lists them"),
    ],
)
def test_an_unknown_board_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UnknownBoard) as caught:
        boards.board(name)
    assert str(caught.value) == hint


@pytest.mark.parametrize(
    ("device_id", "product", "found"),
    [
        (0x233010DE, "", "h100-80gb"),
        (0x20F110DE, "", "a100-40gb"),
        (0x27B810DE, "NVIDIA L4", "l4"),
        (0xFFFF10DE, "NVIDIA H100 PCIe", "h100-80gb"),
        (0x23301002, "", ""),
        (0xFFFF10DE, "NVIDIA Z9000", ""),
    ],
)
def test_a_gpu_is_identified_by_its_device_id_then_its_product(
    device_id: int, product: str, found: str
) -> None:
    assert boards.identify(device_id, product) == found


def test_device_ids_are_written_as_nvml_reports_them() -> None:
    assert boards.board("h100-80gb").pci_device_id == 0x233010DE
    assert boards.board("thor-igpu").pci_device_id is None


@pytest.mark.parametrize("board", WITH_MIG, ids=key)
def test_every_profile_name_reads_back(board: Board) -> None:
    assert board.mig
    for profile in board.mig.profiles:
        assert str(ProfileName.parse(profile.name)) == profile.name
        assert ProfileName.parse(profile.name).gpu_slices == profile.compute_slices


@pytest.mark.parametrize("board", [b for b in WITH_MIG if b.mig and b.mig.instance_profiles()], ids=key)
def test_the_memory_of_a_name_is_the_profiles_part_of_the_board(board: Board) -> None:
    assert board.mig and board.mig.board_memory_gb and board.mig.memory_slots
    for profile in board.mig.instance_profiles():
        total_mib = board.mig.board_memory_gb * 1024
        part_mib = total_mib * profile.memory_slots // board.mig.memory_slots
        assert ProfileName.parse(profile.name).memory_gb == profiles.memory_gb(part_mib, total_mib), (
            profile.name
        )


@pytest.mark.parametrize("board", WITH_MIG, ids=key)
def test_placements_stay_on_the_board(board: Board) -> None:
    assert board.mig
    for profile in board.mig.instance_profiles():
        assert board.mig.memory_slots
        assert profile.placements
        assert len(profile.placements) >= profile.max_instances
        for placement in profile.placements:
            assert 0 <= placement.start <= board.mig.memory_slots - placement.size


@pytest.mark.parametrize("board", WITH_MIG, ids=key)
def test_every_profile_can_be_filled_by_one_compute_instance(board: Board) -> None:
    assert board.mig
    for profile in board.mig.profiles:
        full = [c for c in profile.compute if c.compute_slices == profile.compute_slices]
        assert [c.max_instances for c in full] == [1]
        assert full[0].multiprocessors == profile.multiprocessors


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        (
            "h100-80gb",
            {
                "1g.10gb": 19,
                "1g.10gb+me": 20,
                "1g.20gb": 15,
                "2g.20gb": 14,
                "3g.40gb": 9,
                "4g.40gb": 5,
                "7g.80gb": 0,
            },
        ),
        ("a30-24gb", {"1g.6gb": 14, "1g.6gb+me": 21, "2g.12gb": 5, "2g.12gb+me": 6, "4g.24gb": 0}),
    ],
)
def test_profile_ids_are_those_of_nvidia_smi(name: str, ids: dict[str, int]) -> None:
    mig = boards.board(name).mig
    assert mig and {p.name: p.profile_id for p in mig.instance_profiles()} == ids


@pytest.mark.parametrize("name", ["rtx-pro-5000-48gb", "rtx-pro-4500-32gb", "thor-igpu"])
def test_where_placements_are_not_published_nothing_is_made_up(name: str) -> None:
    mig = boards.board(name).mig
    assert mig and mig.profiles and mig.instance_profiles() == ()
    assert all(p.id is None and p.starts is None for p in mig.profiles)


def test_unknown_figures_stay_unknown() -> None:
    mig = boards.board("h20-96gb").mig
    assert mig
    one = mig.instance_profiles()[0]
    assert (one.memory_mib, one.multiprocessors) == (None, None)
    assert one.engines is not None and one.engines.decoder is None


def test_only_ampere_needs_a_reset_to_change_mode() -> None:
    needing = {b.key for b in WITH_MIG if b.mig and b.mig.mode_change_needs_reset}
    assert needing == {b.key for b in WITH_MIG if b.architecture == "ampere"}
