"""Faults as they are typed."""

import pytest
from click.testing import CliRunner

from aliquot.cli.eks.fake.wanted_faults import parse
from aliquot.cli.eks.group import eks
from aliquot.eks.fake.faults import Fault, Illness, Kind
from tests.eks.fake.worlds import MODEL


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "fail:UpdateNodegroupVersion:PodEvictionFailure",
            Fault(kind=Kind.FAIL, operation="UpdateNodegroupVersion", code="PodEvictionFailure"),
        ),
        (
            "refuse:DescribeCluster:ServerException*3",
            Fault(kind=Kind.REFUSE, operation="DescribeCluster", code="ServerException", times=3),
        ),
        ("lose:CreateCluster", Fault(kind=Kind.LOSE, operation="CreateCluster")),
        (
            "fail:CreateFargateProfile:AccessDenied",
            Fault(kind=Kind.FAIL, operation="CreateFargateProfile", code="AccessDenied"),
        ),
        (
            "fail:CreateNodegroup:IamNodeRoleNotFound",
            Fault(kind=Kind.FAIL, operation="CreateNodegroup", code="IamNodeRoleNotFound"),
        ),
        ("ill:prod:KmsKeyDisabled", Illness(of="prod", code="KmsKeyDisabled")),
        ("ill:prod/nodegroup/gpu:Unknown", Illness(of="prod/nodegroup/gpu", code="Unknown")),
    ],
)
def test_what_is_meant(text: str, fault: Fault | Illness) -> None:
    assert parse(text, MODEL) == fault


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not KIND:OPERATION"),
        ("fail", "is not KIND:OPERATION"),
        ("lose:CreateCluster*0", "is not KIND:OPERATION"),
        ("break:CreateCluster", "no kind of fault 'break'"),
        ("lose:CreateClusters", "no operation 'CreateClusters'.*CreateCluster"),
        ("lose:CreateCluster:Unknown", "leave out ':Unknown'"),
        ("refuse:DescribeCluster", "one of .*ResourceNotFoundException"),
        ("fail:UpdateClusterVersion:Nonsense", "one of .*EniLimitReached"),
        ("fail:DescribeCluster:AccessDenied", "say refuse"),
        ("fail:CancelUpdate:AccessDenied", "say refuse"),
        ("ill:prod", "is not ill:CLUSTER"),
        ("ill:prod/node/gpu:Unknown", "is not ill:CLUSTER"),
        ("ill:prod:Unknown", "one of .*KmsKeyDisabled"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_starts_nothing(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text, MODEL)
    result = CliRunner().invoke(eks, ["fake", "--fault", text])
    assert result.exit_code == 2
    assert "Invalid value for --fault" in result.output
    assert result.stdout == ""
