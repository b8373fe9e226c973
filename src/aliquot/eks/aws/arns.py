"""Names of AWS that say where something is: `arn:aws:eks:eu-west-1:123456789012:cluster/prod`."""

_REGION = 3


def region(arn: str) -> str:
    """Empty: it does not say."""
    parts = arn.split(":", 5)
    return parts[_REGION] if len(parts) > _REGION else ""
