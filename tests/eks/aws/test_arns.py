import pytest

from aliquot.eks.aws import arns


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("arn:aws:eks:eu-west-1:123456789012:cluster/prod", (True, "eu-west-1", "123456789012", "prod")),
        ("arn:aws-cn:eks:cn-north-1:1:cluster/a", (True, "cn-north-1", "1", "a")),
        ("prod", (False, "", "", "prod")),
        ("a/b", (False, "", "", "a/b")),
        ("arn", (False, "", "", "arn")),
        ("", (False, "", "", "")),
    ],
)
def test_what_an_arn_says(text: str, parts: tuple[bool, str, str, str]) -> None:
    assert (arns.is_arn(text), arns.region(text), arns.account(text), arns.name(text)) == parts
