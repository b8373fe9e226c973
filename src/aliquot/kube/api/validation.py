"""What the fields of our own kinds have to be, beyond their type: rules in CEL that the API server checks."""

from typing import Any

from msgspec import Meta

from aliquot.kube import duration


def validated(*rules: tuple[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Of a schema: each rule, and what is told where it does not hold."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


def duration_text(name: str, *, above_zero: bool = False) -> Meta:
    """Of a string field."""
    rule = f"self.matches('{duration.PATTERN}')" + (" && duration(self) > duration('0s')" * above_zero)
    kind = "a duration above zero" if above_zero else "a duration"
    # In CEL's text a backslash is written twice.
    told = f"{name} is {kind}, like 90s, 45m or 1h30m"
    return Meta(max_length=32, extra_json_schema=validated((rule.replace("\\", "\\\\"), told)))
