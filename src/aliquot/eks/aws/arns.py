"""Names of AWS that say where something is: `arn:aws:eks:eu-west-1:123456789012:cluster/prod`."""

_PARTS = 6
_REGION = 3


def is_arn(text: str) -> bool:
    return text.startswith("arn:") and len(text.split(":", _PARTS - 1)) == _PARTS


def region(arn: str) -> str:
    """Empty: it does not say."""
    return arn.split(":", _PARTS - 1)[_REGION] if is_arn(arn) else ""


def name(arn: str) -> str:
    """Of what there is in an account by a kind and a name, as clusters."""
    return arn.rpartition("/")[2]
