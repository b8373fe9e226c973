"""Formats of strings in CRDs, judged as the API server does, where its names promise more and where less."""

import pytest

from aliquot.emulator.schema.validation.formats import has_format, is_known

GOOD = {
    "date-time": ["2026-03-01T10:00:00Z", "2026-03-01t10:00:00.5+01:00"],
    "datetime": ["2026-03-01T10:00:00Z"],
    "date": ["2026-03-01"],
    "duration": ["1h30m", "0", "-5s", "2 weeks", "3d", "P1D"],
    "ipv4": ["10.0.0.1", "010.0.0.01"],
    "ipv6": ["::1", "::ffff:10.0.0.1"],
    "cidr": ["10.0.0.0/8", "10.0.0.7/8", "::1/128", "010.0.0.0/08"],
    "uri": ["https://a.example/x", "/only/a/path", "mailto:a@b.example"],
    "hostname": ["node1", "n-1", "a.example", "dé.example", "a.b.co"],
    "uuid": ["7b3a1c52-8f0e-11ef-9d2a-0242ac120002", "7B3A1C528F0E11EF9D2A0242AC120002"],
    "uuid4": ["7b3a1c52-8f0e-41ef-9d2a-0242ac120002"],
    "byte": ["aGVsbG8="],
    "email": ["a@b.example", "A <a@b.example>"],
    "mac": ["00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "00:1a:2b:3c:4d:5e:6f:70"],
    "hexcolor": ["#0af", "00aaff"],
    "rgbcolor": ["rgb(0, 170, 255)"],
    "isbn": ["0-306-40615-2", "978-0-306-40615-7"],
    "creditcard": ["4111 1111 1111 1111"],
    "ssn": ["111-22-3333"],
    "bsonobjectid": ["65f0c0ffee65f0c0ffee65f0"],
}
BAD = {
    "date-time": [
        "2026-03-01T10:00:00",
        "2026-03-01 10:00:00Z",
        "2026-02-30T10:00:00Z",
        "20260301T100000Z",
        "",
    ],
    "datetime": ["soon"],
    "date": ["20260301", "2026-3-1", ""],
    "duration": ["1", "an hour", "1 fortnight", ""],
    "ipv4": ["10.0.0", "10.0.0.256", "::1"],
    "ipv6": ["10.0.0.1", "fe80::1%eth0"],
    "cidr": ["10.0.0.0", "10.0.0.0/33", "fe80::1%eth0/64"],
    "uri": ["a b", "x", "https://a/%zz", ""],
    "hostname": ["node-1", "a.b", "a_b", "-a", "a..example", "a" * 64],
    "uuid": ["{7b3a1c52-8f0e-11ef-9d2a-0242ac120002}", "7b3a1c52"],
    "uuid4": ["7b3a1c52-8f0e-11ef-9d2a-0242ac120002", "7b3a1c52-8f0e-41ef-cd2a-0242ac120002"],
    "byte": ["!!", ""],
    "email": ["a", "@b.example"],
    "mac": ["00:1a:2b-3c:4d:5e", "00:1a:2b:3c:4d"],
    "hexcolor": ["#0afb", "#xyz"],
    "rgbcolor": ["rgb(256,0,0)", "rgba(0,0,0)"],
    "isbn": ["0-306-40615-3", "978-0-306-40615-8", "x"],
    "creditcard": ["4111 1111 1111 1112", "1234 5678 9012 3456"],
    "ssn": ["111223333", "11-22-3333"],
    "bsonobjectid": ["65f0c0ffee", "z" * 24],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in GOOD.items() for value in values]
)
def test_what_is_of_a_format(name: str, value: str) -> None:
    assert has_format(value, name)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_what_is_not(name: str, value: str) -> None:
    assert not has_format(value, name)


@pytest.mark.parametrize("name", ["password", "int32", "banana", ""])
def test_other_formats_forbid_nothing(name: str) -> None:
    assert not is_known(name)
