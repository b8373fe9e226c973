import pytest

from aliquot.emulator.http.request import parse, parse_int, parse_uint
from aliquot.emulator.statuses import StatusError


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/pods", "", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "watch=1", ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "watch=True", ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "watch=false", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "watch", ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", "fieldSelector=metadata.name%3Da", ("list", "", "v1", "", "pods", "a", "")),
        ("GET", "/api/v1/pods", "fieldSelector=metadata.name==a", ("list", "", "v1", "", "pods", "a", "")),
        ("GET", "/api/v1/pods", "fieldSelector=metadata.name!=a", ("list", "", "v1", "", "pods", "", "")),
        ("POST", "/api/v1/namespaces/n/pods/", "", ("create", "", "v1", "n", "pods", "", "")),
        ("GET", "/api/v1/namespaces/n/pods/p", "", ("get", "", "v1", "n", "pods", "p", "")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", "", ("get", "", "v1", "n", "pods", "p", "log")),
        ("DELETE", "/api/v1/namespaces/n/pods", "", ("deletecollection", "", "v1", "n", "pods", "", "")),
        ("GET", "/api/v1/namespaces/n", "", ("get", "", "v1", "n", "namespaces", "n", "")),
        (
            "PUT",
            "/api/v1/namespaces/n/finalize",
            "",
            ("update", "", "v1", "n", "namespaces", "n", "finalize"),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/d",
            "",
            ("patch", "apps", "v1", "n", "deployments", "d", ""),
        ),
        (
            "PUT",
            "/apis/g.example/v2/things/t/status",
            "",
            ("update", "g.example", "v2", "", "things", "t", "status"),
        ),
        ("GET", "/apis/apps/v1", "", ("get", "", "", "", "", "", "")),
        ("GET", "/version/", "", ("get", "", "", "", "", "", "")),
        ("GET", "/api/v1/namespaces/n/pods/p/proxy/deep", "", ("get", "", "", "", "", "", "")),
    ],
)
def test_a_path_says_what_is_asked(method: str, path: str, query: str, expected: tuple[str, ...]) -> None:
    found = parse(method, path, query)
    assert (
        found.verb,
        found.group,
        found.version,
        found.namespace,
        found.plural,
        found.name,
        found.subresource,
    ) == expected


def test_the_first_of_repeated_parameters_counts() -> None:
    query = parse("GET", "/api/v1/pods", "limit=3&limit=5&dryRun=All&dryRun=x").query
    assert query.number("limit") == 3
    assert query.texts("dryRun") == ["All", "x"]


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(StatusError) as caught:
        parse("GET", "/api/v1/pods", "limit=many").query.number("limit")
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("text", "signed", "unsigned"),
    [
        ("7", 7, 7),
        ("-7", -7, "invalid syntax"),
        ("+7", 7, "invalid syntax"),
        ("0" * 5000 + "7", 7, 7),
        (str(2**63 - 1), 2**63 - 1, 2**63 - 1),
        (str(2**63), "value out of range", 2**63),
        (str(2**64), "value out of range", "value out of range"),
        ("9" * 5000, "value out of range", "value out of range"),
        ("1_0", "invalid syntax", "invalid syntax"),
        (" 1", "invalid syntax", "invalid syntax"),
        ("٣", "invalid syntax", "invalid syntax"),
        ("", "invalid syntax", "invalid syntax"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_numbers_are_read_as_go_reads_them(text: str, signed: int | str, unsigned: int | str) -> None:
    for read, expected in ((parse_int, signed), (parse_uint, unsigned)):
        if isinstance(expected, int):
            assert read(text) == expected
        else:
            with pytest.raises(ValueError, match=f": {expected}$"):
                read(text)
