import pytest

from aliquot.cli.mig.outcomes import Exit, of_failures, of_refusals
from aliquot.gpu.driver import ReturnCode
from aliquot.node.mig.applying import Failed
from aliquot.node.mig.reconfiguration import Refused


@pytest.mark.parametrize(
    ("reasons", "code"),
    [
        (["InUse"], Exit.IN_USE),
        (["InUse", "TooMany"], Exit.IMPOSSIBLE),
        (["UnknownProfile"], Exit.IMPOSSIBLE),
        (["MIGUnsupported"], Exit.IMPOSSIBLE),
        (["NotAnswering", "InUse"], Exit.DRIVER),
    ],
)
def test_a_refusal_says_what_to_do_next(reasons: list[str], code: Exit) -> None:
    assert of_refusals(Refused(reason, "") for reason in reasons) is code


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ([Failed("", code=ReturnCode.IN_USE)], Exit.IN_USE),
        ([Failed("process 7 is changing this GPU")], Exit.IN_USE),
        ([Failed("", code=ReturnCode.NO_PERMISSION)], Exit.DRIVER),
        ([Failed("", code=ReturnCode.IN_USE), Failed("", code=ReturnCode.GPU_IS_LOST)], Exit.DRIVER),
        ([Failed("", open=True, code=ReturnCode.IN_USE), Failed("")], Exit.CUT_SHORT),
        ([Failed("", open=True, code=ReturnCode.GPU_IS_LOST), Failed("", open=True)], Exit.DRIVER),
    ],
)
def test_a_failure_says_what_to_do_next(failures: list[Failed], code: Exit) -> None:
    assert of_failures(failures) is code
