"""Expressions, and what they come to."""

from typing import Any

import pytest

from aliquot.emulator.cel import CompileError, Environment
from aliquot.emulator.cel.types import BYTES, DOUBLE, DYN, INT, STRING, UINT, list_of, map_of
from aliquot.emulator.cel.values import NONE, Duration, Optional, Timestamp, TypeValue, Uint

MINOR = 36
VALUES: dict[str, Any] = {
    "self": {"replicas": 3, "labels": {"app": "web"}, "ratio": 1.5, "items": [1, 2, 3], "nothing": None},
    "n": 7,
    "u": Uint(7),
    "d": 2.5,
    "s": "Hello",
    "b": b"abc",
    "names": ["b", "a"],
    "counts": {"x": 1, "y": 2},
}
TYPES = {
    "self": DYN,
    "n": INT,
    "u": UINT,
    "d": DOUBLE,
    "s": STRING,
    "b": BYTES,
    "names": list_of(STRING),
    "counts": map_of(STRING, INT),
}
ENVIRONMENT = Environment(TYPES, minor=MINOR)


def evaluated(text: str) -> Any:
    outcome = ENVIRONMENT.compile(text).evaluate(VALUES)
    return f"error: {outcome.error}" if outcome.error else outcome.value


SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # arithmetic
        ("n + 1", 8),
        ("n - 8", -1),
        ("n * 2", 14),
        ("n / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("n / 0", "error: division by zero"),
        ("n % 0", "error: modulus by zero"),
        ("9223372036854775807 + n", "error: integer overflow"),
        ("-9223372036854775807 - n", "error: integer overflow"),
        ("u + 1u", Uint(8)),
        ("u - 8u", "error: unsigned integer overflow"),
        ("d / 0.0 > 1.0", True),
        ("d * 2.0", 5.0),
        ("-n", -7),
        ("s + '!'", "Hello!"),
        ("b + b'd'", b"abcd"),
        ("names + ['c']", ["b", "a", "c"]),
        # comparison, across numbers too
        ("n < 7.5", True),
        ("n >= u", True),
        ("d > n", False),
        ("'a' < 'b'", True),
        ("false < true", True),
        ("self.replicas == 3.0", True),
        ("self.replicas == '3'", False),
        ("self.nothing == null", True),
        ("[1, 2] == [1, 2]", True),
        ("{'a': 1} == {'a': 1}", True),
        ("self.replicas < 'a'", "error: no such overload"),
        # logic: what decides is enough
        ("false && self.missing == 1", False),
        ("self.missing == 1 && false", False),
        ("true || self.missing == 1", True),
        ("self.missing == 1 || true", True),
        ("self.missing == 1 || false", "error: no such key: missing"),
        ("!true", False),
        ("n > 5 ? 'many' : 'few'", "many"),
        ("n > 5 ? 'many' : self.missing", "many"),
        # selecting
        ("self.labels.app", "web"),
        ("self['labels']['app']", "web"),
        ("self.missing", "error: no such key: missing"),
        ("self.replicas.deeper", "error: no such key: deeper"),
        ("self.items[1]", 2),
        ("self.items[3]", "error: index out of bounds: 3"),
        ("self.items[-1]", "error: index out of bounds: -1"),
        ("counts['z']", "error: no such key: z"),
        ("has(self.labels.app)", True),
        ("has(self.labels.tier)", False),
        ("has(self.missing.deeper)", "error: no such key: missing"),
        ("'app' in self.labels", True),
        ("2 in self.items", True),
        ("'a' in ['b', 'c']", False),
        # macros
        ("self.items.all(i, i > 0)", True),
        ("self.items.all(i, i > 1)", False),
        ("[].all(i, i > 1)", True),
        ("self.items.exists(i, i == 2)", True),
        ("self.items.exists_one(i, i > 2)", True),
        ("self.items.map(i, i * i)", [1, 4, 9]),
        ("self.items.map(i, i > 1, i * i)", [4, 9]),
        ("self.items.filter(i, i != 2)", [1, 3]),
        ("counts.all(key, key < 'z')", True),
        ("counts.map(key, counts[key])", [1, 2]),
        # an error is forgiven by what decides
        ("[0, 1].exists(i, 1 / i == 1)", True),
        ("[0, 2].exists(i, 1 / i == 1)", "error: division by zero"),
        ("[0, 2].all(i, 1 / i == 1)", False),
        ("self.items.map(i, self.items.filter(j, j < i).size())", [0, 1, 2]),
        # two variables
        ("self.items.all(index, value, value == index + 1)", True),
        ("self.items.exists(index, value, index == value)", False),
        ("counts.existsOne(key, value, value == 2)", True),
        ("counts.transformList(key, value, key + string(value))", ["x1", "y2"]),
        ("counts.transformMap(key, value, value > 1, value * 10)", {"y": 20}),
        ("counts.transformMapEntry(key, value, {value: key})", {1: "x", 2: "y"}),
        (
            "counts.transformMapEntry(key, value, {'same': key})",
            "error: insert failed: key same already exists",
        ),
        # conversions
        ("int('42')", 42),
        ("int('4x')", "error: type conversion error from 'string' to 'int'"),
        ("int(2.9)", 2),
        ("int(1e30)", "error: integer overflow"),
        ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
        ("uint(-n)", "error: unsigned integer overflow"),
        ("double('2.5')", 2.5),
        ("string(2.5)", "2.5"),
        ("string(1000000.0)", "1e+06"),
        ("string(100000.0)", "100000"),
        ("string(true)", "true"),
        ("string(b'abc')", "abc"),
        ("string(duration('1m30s'))", "90s"),
        ("string(timestamp('2020-01-02T03:04:05.5Z'))", "2020-01-02T03:04:05.5Z"),
        ("bool('true')", True),
        ("bytes('é')", "é".encode()),
        ("type(n)", TypeValue("int")),
        ("type(self.ratio) == double", True),
        ("type(self.labels) == map", True),
        ("type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp", True),
        ("dyn(1)", 1),
        # times
        ("duration('1h') + duration('30m')", Duration(5400 * SECOND)),
        ("duration('-1.5s')", Duration(-3 * SECOND // 2)),
        ("timestamp('2020-01-01T00:00:00Z') + duration('1s') > timestamp('2020-01-01T00:00:00Z')", True),
        ("timestamp('1970-01-01T01:00:00+01:00')", Timestamp(0)),
        ("timestamp('2020-02-03T04:05:06Z').getMonth()", 1),
        ("timestamp('2020-02-03T04:05:06Z').getDayOfWeek()", 1),
        ("timestamp('2020-02-03T04:05:06Z').getHours('+02:00')", 6),
        ("duration('3730s').getMinutes()", 62),
        ("size('é!')", 2),
        ("names.size()", 2),
        # optionals
        ("self.?replicas", Optional(3)),
        ("self.?missing", NONE),
        ("self.?missing.deeper.orValue('none')", "none"),
        ("self[?'replicas'].orValue(0)", 3),
        ("self.items[?9].hasValue()", False),
        ("optional.none().value()", "error: optional.none() dereference"),
        ("optional.of(1).or(optional.of(2)).value()", 1),
        ("self.?replicas.optMap(r, r * 2).value()", 6),
        ("self.?missing.optFlatMap(r, optional.of(r)).hasValue()", False),
        ("optional.ofNonZeroValue('').hasValue()", False),
        ("[?self.?missing, 1]", [1]),
        ("{?'a': self.?missing, 'b': 1}", {"b": 1}),
    ],
)
def test_the_language(text: str, expected: Any) -> None:
    found = evaluated(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # strings
        ("s.charAt(1)", "e"),
        ("s.charAt(9)", "error: index out of range: 9"),
        ("s.indexOf('l')", 2),
        ("s.indexOf('l', 3)", 3),
        ("s.indexOf('')", 0),
        ("s.lastIndexOf('l')", 3),
        ("s.lastIndexOf('l', 2)", 2),
        ("s.lowerAscii()", "hello"),
        ("'éA'.lowerAscii()", "éa"),
        ("s.upperAscii()", "HELLO"),
        ("s.replace('l', 'L')", "HeLLo"),
        ("s.replace('l', 'L', 1)", "HeLlo"),
        ("'a,b,c'.split(',')", ["a", "b", "c"]),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'a,b,c'.split(',', 0)", []),
        ("'abc'.split('')", ["a", "b", "c"]),
        ("s.substring(1)", "ello"),
        ("s.substring(1, 3)", "el"),
        ("s.substring(3, 1)", "error: invalid substring range. start: 3, end: 1"),
        ("' x '.trim()", "x"),
        ("names.join('-')", "b-a"),
        ("'%s is %s'.format(['n', string(n)])", "n is 7"),
        ("'%.2f %e %.1f'.format([d, d, 1234.5])", "2.50 2.500000\N{MULTIPLICATION SIGN}10⁰⁰ 1,234.5"),
        ("'%x %X %b %o'.format([255, 255, 5, 8])", "ff FF 101 10"),
        ("'%s'.format([names])", '["b", "a"]'),
        ("'%s'.format([counts])", '{"x":1, "y":2}'),
        (
            "'%d'.format(['x'])",
            "error: error during formatting: decimal clause can only be used on integers, was given string",
        ),
        ("'%s %s'.format(['x'])", "error: index 1 out of range"),
        ("'100%%'.format([])", "100%"),
        ("strings.quote('a\"b\\n')", '"a\\"b\\n"'),
        ("s.startsWith('He') && s.endsWith('lo') && s.contains('ell')", True),
        # patterns
        ("s.matches('^H.*o$')", True),
        ("s.matches('^h')", False),
        ("s.matches(s + '(')", "error: error parsing regexp: missing closing ): `Hello(`"),
        ("'abc 123'.find('[0-9]+')", "123"),
        ("'abc'.find('[0-9]+')", ""),
        ("'1, 2, 3'.findAll('[0-9]')", ["1", "2", "3"]),
        ("'1, 2, 3'.findAll('[0-9]', 2)", ["1", "2"]),
        # lists
        ("[1, 2, 2].isSorted()", True),
        ("names.isSorted()", False),
        ("[1, 3].sum()", 4),
        ("[1.5, 2.5].sum()", 4.0),
        ("[duration('1m'), duration('1s')].sum()", Duration(61 * SECOND)),
        ("[2, 1].min()", 1),
        ("names.max()", "b"),
        ("[1].filter(i, i > 1).min()", "error: min called on empty list"),
        ("[1, 2, 2].indexOf(2)", 1),
        ("[1, 2, 2].lastIndexOf(2)", 2),
        ("[1].indexOf(3)", -1),
        ("[1, 2, 3].slice(1, 3)", [2, 3]),
        ("[1].slice(0, 2)", "error: cannot slice(0, 2), list is length 1"),
        ("[[1], [2]].flatten()", [1, 2]),
        ("[3, 1, 2].sort()", [1, 2, 3]),
        ("['bb', 'a'].sortBy(x, x.size())", ["a", "bb"]),
        ("[1, 1, 2].distinct()", [1, 2]),
        ("lists.range(3)", [0, 1, 2]),
        ("[1, 2].reverse()", [2, 1]),
        ("[1, 2].first().value()", 1),
        # sets
        ("sets.contains([1, 2], [2])", True),
        ("sets.equivalent([1, 2], [2, 1, 1])", True),
        ("sets.intersects([1], [2])", False),
        # quantities
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", True),
        ("quantity('500m').isLessThan(quantity('1'))", True),
        ("quantity('1k').compareTo(quantity('1000'))", 0),
        ("quantity('1k') == quantity('1000')", True),
        ("quantity('2Ki').asInteger()", 2048),
        ("quantity('500m').asInteger()", "error: cannot convert value to integer"),
        ("quantity('500m').isInteger()", False),
        ("quantity('500m').asApproximateFloat()", 0.5),
        ("quantity('1').add(quantity('2')).sub(1).asInteger()", 2),
        ("quantity('1').add(4).asInteger()", 5),
        ("sign(quantity('-3'))", -1),
        ("isQuantity('1.5Gi')", True),
        ("isQuantity('10 apples')", False),
        # addresses
        ("ip('10.0.0.1').family()", 4),
        ("ip('::1').isLoopback()", True),
        ("string(ip('2001:DB8::1'))", "2001:db8::1"),
        ("ip.isCanonical('2001:DB8::1')", False),
        ("isIP('10.0.0.256')", False),
        ("isIP('fe80::1%en0')", False),
        ("isIP('::ffff:1.2.3.4')", False),
        ("ip('224.0.0.1').isLinkLocalMulticast()", True),
        ("ip('169.254.1.1').isLinkLocalUnicast()", True),
        ("ip('8.8.8.8').isGlobalUnicast()", True),
        ("ip('255.255.255.255').isGlobalUnicast()", False),
        ("cidr('10.0.0.0/8').containsIP('10.255.0.1')", True),
        ("cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))", False),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", True),
        ("cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))", False),
        ("string(cidr('10.1.2.3/8').masked())", "10.0.0.0/8"),
        ("cidr('10.1.2.3/8').ip() == ip('10.1.2.3')", True),
        ("cidr('10.0.0.0/8').prefixLength()", 8),
        ("isCIDR('10.0.0.0/33')", False),
        ("isCIDR('10.0.0.0')", False),
        # URLs
        ("url('https://example.com:80/a b?x=1&x=2').getHost()", "example.com:80"),
        ("url('https://example.com:80/').getPort()", "80"),
        ("url('https://[::1]:80/').getHostname()", "::1"),
        ("url('https://example.com/path with/').getEscapedPath()", "/path%20with/"),
        ("url('https://example.com/?k=a&k=b').getQuery()", {"k": ["a", "b"]}),
        ("url('/just/a/path').getScheme()", ""),
        ("isURL('https://example.com')", True),
        ("isURL('../relative')", False),
        # formats
        ("format.dns1123Label().validate('ok').hasValue()", False),
        ("format.dns1123Label().validate('Not_ok').value().size()", 1),
        ("format.named('uuid').value().validate('x').value()", ["does not match the UUID format"]),
        ("format.named('nonsense').hasValue()", False),
        # versions
        ("semver('1.2.3').isLessThan(semver('1.2.4-rc.1'))", True),
        ("semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))", True),
        ("semver('1.0.0-2').compareTo(semver('1.0.0-alpha'))", -1),
        ("semver('v1.2', true).minor()", 2),
        ("isSemver('1.2')", False),
        ("isSemver('01.2.3')", False),
        ("semver('1.2')", "error: No Major.Minor.Patch elements found"),
    ],
)
def test_the_libraries(text: str, expected: Any) -> None:
    found = evaluated(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo", "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^"),
        (
            "n +\n  'a'",
            "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | n +\n | ..^",
        ),
        (
            "n +",
            "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
            "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | n +\n | ...^",
        ),
        (
            "n == 'a'",
            "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(int, string)'\n | n == 'a'\n | ..^",
        ),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        (
            "{'a': 1, 'b': 'c'}",
            "ERROR: <input>:1:15: expected type 'int' but found 'string'\n | {'a': 1, 'b': 'c'}\n | ..............^",
        ),
        (
            "duration('forever')",
            "ERROR: <input>:1:10: invalid duration argument\n | duration('forever')\n | .........^",
        ),
        (
            "timestamp('now')",
            "ERROR: <input>:1:11: invalid timestamp argument\n | timestamp('now')\n | ..........^",
        ),
        (
            "s.matches('[')",
            "ERROR: <input>:1:11: invalid matches argument\n | s.matches('[')\n | ..........^",
        ),
        ("n.foo", "ERROR: <input>:1:2: type 'int' does not support field selection\n | n.foo\n | .^"),
        (
            "n == some.where.else",
            "ERROR: <input>:1:6: undeclared reference to 'some' (in container '')\n | n == some.where.else\n | .....^",
        ),
        (
            "n.all(x, true)",
            "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or "
            "dynamic)\n | n.all(x, true)\n | ^",
        ),
        (
            "[1].all(1, true)",
            "ERROR: <input>:1:9: argument must be a simple name\n | [1].all(1, true)\n | ........^",
        ),
        (
            "[1].map(1, true)",
            "ERROR: <input>:1:9: argument is not an identifier\n | [1].map(1, true)\n | ........^",
        ),
        (
            "has(self)",
            "ERROR: <input>:1:5: invalid argument to has() macro\n | has(self)\n | ....^",
        ),
    ],
)
def test_what_does_not_compile(text: str, expected: str) -> None:
    with pytest.raises(CompileError) as refused:
        ENVIRONMENT.compile(text)
    assert str(refused.value) == expected


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("ip('::1').isLoopback()", 30),
        ("format.uuid().validate('x').hasValue()", 31),
        ("[1].all(i, v, v > i)", 32),
        ("semver('1.2.3').major() == 1", 33),
        ("[2, 1].sort() == [1, 2]", 34),
        ("[1].includes(1)", 37),
    ],
)
def test_functions_come_with_their_minor(text: str, first: int) -> None:
    assert Environment({}, minor=first).compile(text).evaluate({}).value is True or first == 31
    with pytest.raises(CompileError):
        Environment({}, minor=first - 1).compile(text)


@pytest.mark.parametrize("text", ["math.greatest(1, 2)", "base64.encode(b'a')", "cel.bind(x, 1, x)", "now()"])
def test_what_kubernetes_does_not_have(text: str) -> None:
    with pytest.raises(CompileError):
        ENVIRONMENT.compile(text)
