"""Names of AWS that say where something is: `arn:aws:eks:eu-west-1:123456789012:cluster/prod`."""

_PARTS = 6
_REGION, _ACCOUNT = 3, 4


def is_arn(text: str) -> bool:
    return text.startswith("arn:") and len(text.split(":", _PARTS - 1)) == _PARTS


def region(arn: str) -> str:
    """Empty: it does not say."""
    return _part(arn, _REGION)


def account(arn: str) -> str:
    """Empty: it does not say."""
    return _part(arn, _ACCOUNT)


def name(arn: str) -> str:
    """Of what there is in an account by a kind and a name, as clusters. What is no ARN is a name already."""
    return arn.rpartition("/")[2] if is_arn(arn) else arn


def _part(arn: str, number: int) -> str:
    return arn.split(":", _PARTS - 1)[number] if is_arn(arn) else ""
