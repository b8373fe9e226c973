import pytest

from aliquot.emulator.schema.validation import names

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("rule", "value", "problems"),
    [
        (names.dns_label, "a-1", []),
        (names.dns_label, "A", [LABEL]),
        (names.dns_label, "a.b", ["must not contain dots"]),
        (names.dns_label, "a" * 64, ["must be no more than 63 characters"]),
        (names.dns_subdomain, "a.b-c", []),
        (names.dns_subdomain, "a\n", [SUBDOMAIN]),
        (names.dns_subdomain, "Bad_Name", [SUBDOMAIN]),
        (names.qualified_name, "nvidia.com/gpu", []),
        (names.qualified_name, "/x", ["prefix part must be non-empty"]),
        (names.qualified_name, "a/", ["name part must be non-empty", f"name part {QUALIFIED}"]),
        (names.qualified_name, "a_b/x", [f"prefix part {SUBDOMAIN}"]),
        (names.qualified_name, "-", [f"name part {QUALIFIED}"]),
        (names.qualified_name, "a/b/c", [f"a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]),
        (names.label_value, "", []),
        (names.address, "10.9.8.7", []),
        (names.address, "10.9.8.07", ["must not have leading 0s"]),
        (names.address, "10.9.8.256", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (names.address, "::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]),
        (names.network, "10.0.0.0/8", []),
        (names.network, "10.0.0.1/8", ["must not have bits set beyond the prefix length"]),
        (names.network, "10.0.0.1", ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]),
        (names.label_value, "a_b", []),
        (names.label_value, "-", ["a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"]),
        (names.config_key, "..", ["must not be '..'"]),
        (names.config_key, "..x", ["must not start with '..'"]),
        (names.env_name, "A B", []),
        (names.env_name, "A=B", ["a valid environment variable name must consist only of printable ASCII characters other than '='"]),
        (names.port_name, "http", []),
        (names.port_name, "80", ["must contain at least one letter (a-z)"]),
        (names.port_name, "a--b", ["must not contain consecutive hyphens"]),
        (names.path_segment, "system:node", []),
        (names.path_segment, "a/b", ["may not contain '/'"]),
        (names.percent, "5%", []),
        (names.percent, "5", ["a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"]),
    ],
)  # fmt: skip
def test_grammars(rule: names.Rule, value: str, problems: list[str]) -> None:
    assert rule(value) == problems


def test_ports() -> None:
    assert names.port_number(80) == []
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]


def test_a_name_to_be_generated_may_end_in_a_dash() -> None:
    assert names.prefix_of(names.dns_label)("web-") == []
    assert names.dns_label("web-") == [LABEL]
