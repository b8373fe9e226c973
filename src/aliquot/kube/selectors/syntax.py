"""Which label keys and values are valid, in Kubernetes' words."""

import re
from functools import lru_cache

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    f"validation is '({_NAME})?')"
)
_NAME_SYNTAX = re.compile(_NAME)
_SUBDOMAIN_SYNTAX = re.compile(_SUBDOMAIN)


@lru_cache(maxsize=4096)
def label_key_problems(key: str) -> tuple[str, ...]:
    """What is wrong with a label key, in Kubernetes' words; empty when it is valid."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        rule = f"a qualified name {_NAME_RULE} with an optional DNS subdomain prefix and '/'"
        return (f"{rule} (e.g. 'example.com/MyName')",)
    problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        if len(prefix) > 253:
            problems.append("prefix part must be no more than 253 bytes")
        if not _SUBDOMAIN_SYNTAX.fullmatch(prefix):
            problems.append(f"prefix part {_SUBDOMAIN_RULE}")
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _NAME_SYNTAX.fullmatch(name):
        problems.append(f"name part {_NAME_RULE}")
    return tuple(problems)


@lru_cache(maxsize=4096)
def label_value_problems(value: str) -> tuple[str, ...]:
    """What is wrong with a label value, in Kubernetes' words; empty when it is valid."""
    problems = []
    if len(value) > 63:
        problems.append("must be no more than 63 bytes")
    if value and not _NAME_SYNTAX.fullmatch(value):
        problems.append(_VALUE_RULE)
    return tuple(problems)
