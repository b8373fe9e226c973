"""The grammars of Kubernetes' names, each with the text that tells a user what it is.

Every function takes a value and gives what is wrong with it, an empty list when nothing is.
"""

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from ipaddress import IPv6Address, ip_address, ip_interface

Rule = Callable[[str], list[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_HEADER = "[-A-Za-z0-9]+"
_UNDERSCORED = r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"
_OCTET = re.compile("[0-9]{1,10}")

_QUALIFIED_TEXT = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"


_REMEMBERED_LENGTH = 253
"""No sound name is longer."""


def _remembered(rule: Rule) -> Rule:
    """`rule`, asked once for each name: the same few come again with every object."""

    @lru_cache(maxsize=4096)
    def problems(value: str) -> tuple[str, ...]:
        return tuple(rule(value))

    @wraps(rule)
    def check(value: str) -> list[str]:
        return list(problems(value)) if len(value) <= _REMEMBERED_LENGTH else rule(value)

    return check


def _regex_text(text: str, pattern: str, *examples: str) -> str:
    # Two spaces before each "or": that is how Kubernetes puts them together.
    shown = " or ".join(f"'{example}', " for example in examples)
    lead = f"e.g. {shown}" if examples else ""
    return f"{text} ({lead}regex used for validation is '{pattern}')"


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(value) > limit else []


@_remembered
def dns_label(value: str) -> list[str]:
    """RFC 1123 label: namespaces, containers, volumes."""
    problems = _too_long(value, 63)
    if not re.fullmatch(_LABEL, value):
        if re.fullmatch(_SUBDOMAIN, value):
            problems.append("must not contain dots")
        else:
            problems.append(
                _regex_text(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                    "start and end with an alphanumeric character",
                    _LABEL,
                    "my-name",
                    "123-abc",
                )
            )
    return problems


@_remembered
def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: most names of objects."""
    problems = _too_long(value, 253)
    if not re.fullmatch(_SUBDOMAIN, value):
        problems.append(
            _regex_text(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                "must start and end with an alphanumeric character",
                _SUBDOMAIN,
                "example.com",
            )
        )
    return problems


def dns_1035_label(value: str) -> list[str]:
    """Names of services."""
    problems = _too_long(value, 63)
    if not re.fullmatch(_LABEL_1035, value):
        problems.append(
            _regex_text(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                "character, and end with an alphanumeric character",
                _LABEL_1035,
                "my-name",
                "abc-123",
            )
        )
    return problems


def path_segment(value: str) -> list[str]:
    """Names of roles, bindings and events: anything that stands in a URL."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{illegal}'" for illegal in ("/", "%") if illegal in value]


def network(value: str) -> list[str]:
    """Addresses with a prefix in common, which is all that it says of them."""
    start, _, length = value.partition("/")
    try:
        network = ip_interface(value).network
    except ValueError:
        length = ""
    if not length.isdigit():
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    if network.network_address != ip_address(start):
        return ["must not have bits set beyond the prefix length"]
    return address(start)


def address(value: str) -> list[str]:
    """An IPv4 or IPv6 address, in a spelling that every program reads alike."""
    try:
        found = ip_address(value)
    except ValueError:
        octets = value.split(".")
        if len(octets) == 4 and all(_OCTET.fullmatch(octet) and int(octet) < 256 for octet in octets):
            return ["must not have leading 0s"]
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def header_name(value: str) -> list[str]:
    """Of an HTTP header."""
    if re.fullmatch(_HEADER, value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_regex_text(text, _HEADER, "X-Header-Name")]


@_remembered
def wildcard_subdomain(value: str) -> list[str]:
    """Hosts of ingresses: every name of a domain."""
    pattern = r"\*\." + _SUBDOMAIN
    if re.fullmatch(pattern, value):
        return []
    text = (
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
    )
    return [_regex_text(text, pattern, "*.example.com")]


@_remembered
def dns_subdomain_with_underscore(value: str) -> list[str]:
    """Search domains of resolvers."""
    if re.fullmatch(_UNDERSCORED, value):
        return []
    text = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
        "start and end with an alphanumeric character"
    )
    return [_regex_text(text, _UNDERSCORED, "example.com")]


@_remembered
def qualified_name(value: str) -> list[str]:
    """Keys of labels, annotations, resources and finalizers: `[prefix/]name`."""
    parts = value.split("/")
    if len(parts) > 2:
        text = _regex_text(f"a valid label key {_QUALIFIED_TEXT}", _QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"{text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        problems += [f"prefix part {problem}" for problem in dns_subdomain(parts[0]) if parts[0]]
    name = parts[-1]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 characters")
    if not re.fullmatch(_QUALIFIED, name):
        problems.append(
            f"name part {_regex_text(_QUALIFIED_TEXT, _QUALIFIED, 'MyName', 'my.name', '123-abc')}"
        )
    return problems


@_remembered
def label_value(value: str) -> list[str]:
    problems = _too_long(value, 63)
    if not re.fullmatch(_LABEL_VALUE, value):
        problems.append(
            _regex_text(
                f"a valid label must be an empty string or {_QUALIFIED_TEXT.removeprefix('must ')}",
                _LABEL_VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return problems


@_remembered
def config_key(value: str) -> list[str]:
    """Keys of config maps and secrets."""
    problems = _too_long(value, 253)
    if not re.fullmatch(_CONFIG_KEY, value):
        problems.append(
            _regex_text(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY,
                "key.name",
                "KEY_NAME",
                "key-name",
            )
        )
    return problems + _parent_directory(value)


@_remembered
def env_name(value: str) -> list[str]:
    """Names of environment variables: any printable ASCII but `=` since Kubernetes 1.34."""
    if not value:
        return ["environment variable name must be non-empty"]
    if any(not 32 <= ord(char) < 127 or char == "=" for char in value):
        return [
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        ]
    return []


@_remembered
def port_name(value: str) -> list[str]:
    problems = _too_long(value, 15)
    if not re.fullmatch("[-a-z0-9]+", value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def percent(value: str) -> list[str]:
    if re.fullmatch(_PERCENT, value):
        return []
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return [_regex_text(text, _PERCENT, "1%", "93%")]


def _parent_directory(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def prefix_of(rule: Rule) -> Rule:
    """The same rule for a generateName, to which letters will be added: a dash may stand at the end."""

    def check(value: str) -> list[str]:
        return rule(value[:-2] + "a" if len(value) > 1 and value.endswith("-") else value)

    return check
