import pytest

from aliquot.emulator.kinds import go_urls
from aliquot.emulator.schema.validation import formats

VALUES = [
    ("date-time", ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:00.123+02:00", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00Zt", "2026-01-01T00:00:00+99:99"], ["2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-02-30T00:00:00Z", "20260101T000000Z", "2026-01-01T00:00:00+0200", ""]),
    ("datetime", ["2026-01-01T00:00:00Z"], ["2026-01-01"]),
    ("date", ["2026-01-01", "2024-02-29", "0000-01-01"], ["20260101", "2026-1-1", "2026-02-29", "2026-W01-1", ""]),
    ("duration", ["1h", "3 days", "1h30m", "1.5h", "-1h", "+1h", "0", "3 days 2 hours", "xx1h", "1h xx", "1µs", "1 µs", "1 MS", "5 minutes", ".5s", "1.s"], ["1", "", "1 fortnight", "1 mon", "99999999999999999999h", "99999999999999999999 days", "."]),
    ("ipv4", ["1.2.3.4", "01.02.03.04", "::ffff:1.2.3.4"], ["1.2.3", "1.2.3.256", "::1", "1.2.3.4/24", "", " 1.2.3.4"]),
    ("ipv6", ["::1", "::ffff:1.2.3.4", "2001:DB8::1"], ["fe80::1%eth0", "1.2.3.4", "1::2::3", "00001::1", ""]),
    ("cidr", ["10.0.0.0/8", "10.0.0.1/8", "010.0.0.0/8", "10.0.0.0/08", "2001:db8::/32", "2001:db8::1/32", "::ffff:1.2.3.0/120"], ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "10.0.0.0/+8", "10.0.0.0/", "::1%a/64"]),
    ("uri", ["http://a", "/a", "http://", "mailto:me", "http://[::1]:80/x", "http://a/%20", "//a/b", "http:", "http://aé", "*", "http://a/b?c=d e", "urn:x:y", "http://user@h/", "/a b", "http://[fe80::1%25en0]/", "http://a/^"], ["http://a b", "a", "", "http://a/%zz", "ht tp://a", "1http://a", "http://a:port", ":foo", "http://a#frag", "http://[::1", "http://user:pa ss@h", "http://a\\b", "http://a:80:80/", "http://a^b/", "http://%41"]),
    ("hostname", ["a", "a.com", "a-", "exämple.com", "☺", "a" * 63, "a--b.com", "a-b", "a.b.c.example.london"], ["a.b", "-a", "A_b", "1.2.3.4", "a.b.", "a" * 64, "", ".", "a..com", "a.c", "x.y1", "a-b-c", "-a.com", "a.com-", "a.com/x"]),
    ("email", ["a@b", "a@b.c", "Me <a@b.c>", "\"a b\"@c.d", "<a@b>", "a@[1.2.3.4]", "ä@b.c", "a@-b", " a@b ", "a@b (comment)", "\"Me\" <a@b>", "M.e <a@b>", "a@b_c", "a+b@c", "us: a@b;", "us: Me <a@b> (x) ; (y (z))", "a@b (\\) x)"], ["a", "@b", "a@", "a b@c", "a@b, c@d", "", "a@b@c", "a..b@c", ".a@b", "a.@b", "a@b.", "Me a@b", "a@b c", "a@b..c", "us: ;", "us: a@b, c@d;", "us: a@b", "a@b (x", "a(x)@b", "a@[1.2.3]", "\"\"@b"]),
    ("mac", ["01:23:45:67:89:ab", "01-23-45-67-89-ab", "0123.4567.89ab", "01:23:45:67:89:ab:cd:ef", "0123.4567.89ab.cdef", "0123456789ab", "01:23:45:67:89:AB", "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00", "0000.0000.0000.0000.0000.0000.0000.0000.0000.0000"], ["01:23:45:67:89", "01:23-45:67:89:ab", "", " 01:23:45:67:89:ab", "1:2:3:4:5:6"]),
    ("uuid", ["12345678-1234-1234-1234-123456789abc", "12345678123412341234123456789ABC", "12345678-12341234-1234-123456789abc"], ["{12345678-1234-1234-1234-123456789abc}", "urn:uuid:12345678-1234-1234-1234-123456789abc", ""]),
    ("uuid3", ["12345678-1234-3234-1234-123456789abc"], ["12345678-1234-4234-1234-123456789abc"]),
    ("uuid4", ["12345678-1234-4234-8234-123456789abc"], ["12345678-1234-4234-1234-123456789abc"]),
    ("uuid5", ["12345678-1234-5234-b234-123456789abc"], ["12345678-1234-5234-1234-123456789abc"]),
    ("byte", ["aGk=", "aGkx", "/+aa"], ["aGk", "", "aGk=\n", "a-_=", "aGkx aGkx", "a==="]),
    ("password", ["", "x"], []),
    ("bsonobjectid", ["507f1f77bcf86cd799439011", "507F1F77BCF86CD799439011"], ["507f1f77bcf86cd79943901", "z07f1f77bcf86cd799439011", ""]),
    ("hexcolor", ["#fff", "fff", "#FFFFFF"], ["#ffff", "red", "#ffffff\n"]),
    ("rgbcolor", ["rgb(1,2,3)", "rgb( 1 , 2 , 3 )"], ["rgb(256,0,0)", "rgb(01,0,0)", "RGB(1,2,3)", "rgb(1,2)", "rgb(1,2,3"]),
    ("ssn", ["123-45-6789", "123 45 6789"], ["123456789", "123-456789", "12345-6789"]),
    ("isbn", ["0321751043", "978-0321751041", "080442957X", "9780321751041"], ["0321751044", "080442957x"]),
    ("isbn10", ["0321751043", "0-321-75104-3"], ["978-0321751041"]),
    ("isbn13", ["978-0321751041", "978 0321751041"], ["0321751043"]),
    ("creditcard", ["4111111111111111", "4111-1111-1111-1111", "4111x1111y11111111"], ["4111111111111112", ""]),
    ("k8s-short-name", ["a", "a" * 63], ["A", "a.b", "a" * 64, "-a", "a\n", ""]),
    ("k8s-long-name", ["a.b", "a" * 253], ["A", "a" * 254, "a..b", ""]),
    ("uu-id", ["12345678-1234-1234-1234-123456789abc"], ["x"]),
]  # fmt: skip


@pytest.mark.parametrize(("format_", "good", "bad"), VALUES, ids=[format_ for format_, _, _ in VALUES])
def test_values_of_formats(format_: str, good: list[str], bad: list[str]) -> None:
    assert {value: formats.has_format(value, format_) for value in [*good, *bad]} == (
        dict.fromkeys(good, True) | dict.fromkeys(bad, False)
    )


@pytest.mark.parametrize("format_", ["", "int32", "nonsense", "time", "idn-email", "uri-reference", "regex"])
def test_formats_that_nothing_judges(format_: str) -> None:
    assert not formats.is_known(format_)


def test_a_long_hostile_address_is_judged_at_once() -> None:
    assert not formats.has_format("a " * 5000 + "<", "email")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "empty url"),
        ("a", "invalid URI for request"),
        (":a", "missing protocol scheme"),
        ("http://a\x7f", "net/url: invalid control character in URL"),
        ("http://[::1", "missing ']' in host"),
        ("http://a:b", 'invalid port ":b" after host'),
        ("http://a#b", 'invalid character "#" in host name'),
        ("http://a b@c", "net/url: invalid userinfo"),
        ("/%zz", 'invalid URL escape "%zz"'),
        ("http://a/?%zz", ""),
        ("http://%41", 'invalid URL escape "%41"'),
        ("http://%c3%a9/%41", ""),
        ("//a b/c", ""),
        ("*", ""),
    ],
)
def test_urls_as_go_reads_them(url: str, problem: str) -> None:
    assert go_urls.problem(url) == problem
