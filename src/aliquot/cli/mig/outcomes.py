"""How a `mig` command ends: exit codes by what has to be done next."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from aliquot.node.mig.applying import Failed
    from aliquot.node.mig.reconfiguration import Refused


class Exit(IntEnum):
    BAD_INPUT = 1
    """Mend the file, the option, the path."""
    CHANGES = 2
    """`plan`: there is something to do."""
    IN_USE = 3
    """Wait for who uses it, or release it."""
    IMPOSSIBLE = 4
    """Ask for something that these GPUs can be."""
    DRIVER = 5
    """Look after the GPU, the driver, or the rights to it."""
    CUT_SHORT = 6
    """`aliquot mig recover`."""
    PENDING = 7
    """Reset the GPU or reboot, then apply again."""


class MigError(click.ClickException):
    def __init__(self, code: Exit, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        # Of the class for click's stubs; click itself reads the instance's.
        self.exit_code = int(code)  # type: ignore[misc]


def of_refusals(refusals: Iterable["Refused"]) -> Exit:
    """Of several the one that waiting does not mend."""
    reasons = {refused.reason for refused in refusals}
    if "NotAnswering" in reasons:
        return Exit.DRIVER
    return Exit.IN_USE if reasons <= {"InUse"} else Exit.IMPOSSIBLE


def of_failures(failures: Iterable["Failed"]) -> Exit:
    from aliquot.gpu.driver import ReturnCode

    found = list(failures)
    if any(failed.code is ReturnCode.GPU_IS_LOST for failed in found):
        # Also where it was cut short by that: there is nothing to recover before it is back.
        return Exit.DRIVER
    if any(failed.open for failed in found):
        return Exit.CUT_SHORT
    # Without a code it is another process that has the GPU.
    waiting = all(failed.code in (ReturnCode.IN_USE, None) for failed in found)
    return Exit.IN_USE if waiting else Exit.DRIVER
