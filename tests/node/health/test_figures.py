"""What a GPU's figures say of its health."""

from dataclasses import replace

import pytest

from aliquot.gpu.driver import RecoveryAction, Telemetry
from aliquot.kube.api.gpunode import Cure
from aliquot.node.health.figures import ailments

ROWS = Telemetry(row_remap_pending=False, row_remap_failed=False, uncorrected_errors=0)
"""Of a board that replaces rows."""
PAGES = Telemetry(retired_pages_pending=False, uncorrected_errors=0)
"""Of one that retires pages."""


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Telemetry(), []),
        (ROWS, []),
        (PAGES, []),
        (replace(ROWS, row_remap_pending=True), [("RowRemapPending", Cure.RESET)]),
        (replace(ROWS, row_remap_failed=True), [("RowRemapFailed", Cure.REPLACEMENT)]),
        (replace(PAGES, retired_pages_pending=True), [("PageRetirementPending", Cure.RESET)]),
        (replace(PAGES, uncorrected_errors=2), [("UncorrectedECC", Cure.RESET)]),
        (replace(ROWS, recovery_action=RecoveryAction.NONE), []),
        (replace(ROWS, recovery_action=RecoveryAction.GPU_RESET), [("NeedsReset", Cure.RESET)]),
        (replace(ROWS, recovery_action=RecoveryAction.BUS_RESET), [("NeedsReset", Cure.RESET)]),
        (replace(ROWS, recovery_action=RecoveryAction.NODE_REBOOT), [("NeedsReboot", Cure.RESET)]),
        (replace(ROWS, recovery_action=RecoveryAction.SYSTEM_REBOOT), [("NeedsReboot", Cure.RESET)]),
        (replace(ROWS, recovery_action=RecoveryAction.DRAIN_P2P), [("NeedsDrain", Cure.DRAIN)]),
        (replace(ROWS, recovery_action=RecoveryAction.DRAIN_AND_RESET), [("NeedsDrain", Cure.RESET)]),
        (replace(ROWS, recovery_action=RecoveryAction.RECOVER_IMEX_DOMAIN), [("NeedsRecovery", Cure.DRAIN)]),
    ],
)
def test_what_holds_as_long_as_the_gpu_says_so(now: Telemetry, expected: list[tuple[str, Cure]]) -> None:
    found = ailments(now, now, 0)
    assert [(ailment.reason, ailment.cure) for ailment in found] == expected
    assert all(ailment.measured for ailment in found)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, 3, []),
        (3, 3, []),
        (0, 1, ["UncorrectedECC"]),
        (3, 4, ["UncorrectedECC"]),
        (3, 0, []),
        (3, 1, ["UncorrectedECC"]),
    ],
    ids=["old ones", "no new one", "the first", "another", "a reset", "a reset and one since"],
)
def test_a_board_that_contains_errors_is_ill_of_new_ones_alone(
    before: int | None, now: int, expected: list[str]
) -> None:
    earlier = None if before is None else replace(ROWS, uncorrected_errors=before)
    found = ailments(replace(ROWS, uncorrected_errors=now), earlier, 0)
    assert [ailment.reason for ailment in found] == expected
    assert all((ailment.cure, ailment.measured) == (Cure.QUIET, False) for ailment in found)


def test_what_to_do_is_said() -> None:
    (failed,) = ailments(replace(ROWS, row_remap_failed=True), None, 0)
    assert failed.outlook == "it needs a reset, and where that does not help the GPU has to be replaced (RMA)"
    (asked,) = ailments(replace(ROWS, recovery_action=RecoveryAction.NODE_REBOOT), None, 0)
    assert asked.message == "the driver asks for a reboot of the node"
