from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from msgspec import json as msgspec_json

from aliquot import document
from aliquot.document import DocumentError, Repeat, from_yaml


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Item(Struct):
    name: str
    count: Annotated[int, Meta(ge=1)] = 1
    colour: Colour | None = None
    size: Literal["small", "large"] = "small"


class Box(Struct, rename="camel"):
    items: list[Item] = []
    keyed: Annotated[list[Item], Meta(extra_json_schema={"x-kubernetes-list-type": "map"})] = []
    by_name: dict[str, Item] = {}
    limits: dict[int, str] = {}
    either: int | str | None = None
    ratio: float = 1.0


class Cat(Struct, tag_field="kind", tag="cat"):
    lives: int


class Dog(Struct, tag_field="kind", tag="dog"):
    tricks: list[str]


class Zoo(Struct):
    animals: list[Cat | Dog]


def complaint(text: str, type_: type[Any] = Box) -> str:
    with pytest.raises(DocumentError) as caught:
        document.load(text, type_, source="f.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_yaml_becomes_a_typed_value() -> None:
    text = "items:\n- name: a\n  colour: red\nbyName: {b: {name: b, count: 2}}\nlimits: {7: x}\neither: 5\nratio: 2\n"
    assert document.load(text, Box, source="f.yaml") == Box(
        items=[Item("a", colour=Colour.RED)],
        by_name={"b": Item("b", count=2)},
        limits={7: "x"},
        either=5,
        ratio=2.0,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n\t"either":\t"a\\tb"\n}', "a\tb"),
        ('{"either": "\\ud83d\\ude00"}', "😀"),
        ('{"either": "\\\\ud83d\\\\ude00"}', "\\ud83d\\ude00"),
        ('{"either": "a\\/b"}', "a/b"),
        ('{"either": 10000000000000000000}', 10**19),
        ('{"either": "\x7f\u2028\ue000"}', "\x7f\u2028\ue000"),
        ("{either: a}", "a"),
    ],
)
def test_json_reads_as_json(text: str, expected: object) -> None:
    assert document.load(text, Box, source="f.json").either == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "items:\n- name: a\n  cout: 1\n",
            "f.yaml:3: unknown field 'cout' in items[0]; did you mean 'count'?",
        ),
        ("item: []", "f.yaml:1: unknown field 'item'; did you mean 'items'?"),
        ("zzz: 1", "f.yaml:1: unknown field 'zzz'; known: byName, either, items, keyed, limits, ratio"),
        ("keyed:\n- {name: a, cout: 1}", "f.yaml:2: unknown field 'cout' in keyed[0]; did you mean 'count'?"),
        ("byName:\n  x:\n    nam: a\n", "f.yaml:3: unknown field 'nam' in byName.x; did you mean 'name'?"),
        ("items:\n- {}\n", "f.yaml:2: items[0]: field 'name' is missing"),
        ("items:\n- name: 1\n", "f.yaml:2: items[0].name: text is expected, not a whole number"),
        ("items: 3", "f.yaml:1: items: a list is expected, not a whole number"),
        ("- 1", "f.yaml:1: an object is expected, not a list"),
        (
            "byName:\n  a: {name: a}\n  b:\n    name: [1]\n",
            "f.yaml:4: byName.b.name: text is expected, not a list",
        ),
        (
            "items: [{name: a,\n  count: 0}]",
            "f.yaml:2: items[0].count: a whole number >= 1 is expected, not 0",
        ),
        (
            "items: [{name: a, colour: gren}]",
            "f.yaml:1: items[0].colour: 'gren' is not a known value; did you mean 'green'?",
        ),
        (
            "items: [{name: a, size: larg}]",
            "f.yaml:1: items[0].size: 'larg' is not a known value; did you mean 'large'?",
        ),
        ("limits:\n  1: a\n  b: c\n", "f.yaml:3: limits.b: a whole number is expected, not text"),
        ("either: []", "f.yaml:1: either: a whole number or text is expected, not a list"),
        ("ratio: yes", "f.yaml:1: ratio: a number is expected, not true or false"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_line(text: str, message: str) -> None:
    assert complaint(text) == message


@pytest.mark.parametrize(
    "text", ["a: 1\nb: {c: 1,\n  c: 2}\na: 2\n", '{"a": 1,\n"b": {"c": 1,\n"c": 2},\n"a": 2}']
)
def test_keys_that_come_again_can_be_left_to_the_caller(text: str) -> None:
    repeats: list[Repeat] = []
    read = document.parse(text, source="f.yaml", repeats=repeats)
    assert read.value == {"a": 2, "b": {"c": 2}}
    assert repeats == [Repeat(3, "c"), Repeat(4, "a")]


def test_unknown_fields_are_found_in_the_right_member_of_a_union() -> None:
    assert "'trick'; did you mean" not in complaint(
        "animals:\n- {kind: cat, lives: 9}\n- kind: dog\n  trick: []\n", Zoo
    )
    assert (
        complaint("animals:\n- {kind: cat, lives: 9}\n- kind: dog\n  trick: []\n", Zoo)
        == "f.yaml:4: unknown field 'trick' in animals[1]; did you mean 'tricks'?"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: the document is empty"),
        ("# only a comment\n", "f.yaml: the document is empty"),
        ("ratio: 1\n---\nratio: 2\n", "f.yaml:3: a second document begins here; one is expected"),
        ("ratio: 1\nitems: []\nratio: 2\n", "f.yaml:3: 'ratio' is given twice (first on line 1)"),
        ('{"ratio": 1,\n "ratio": 2}', "f.yaml:2: 'ratio' is given twice (first on line 1)"),
        ('{"ratio": 1,}\n{', "f.yaml:2: did not find expected <document start>"),
        ('{"either": ' + "9" * 5000 + "}", "f.yaml:1: a number with too many digits"),
        ('{"either": ' + "[" * 150 + "]" * 150 + "}", "f.yaml:1: nested more than 100 levels deep"),
        ("items: [\n", "f.yaml:2: did not find expected node content"),
        (
            "either: !!python/object/apply:os.system [x]",
            "f.yaml:1: tag '!!python/object/apply:os.system' is not accepted",
        ),
        ("either: !secret x", "f.yaml:1: tag '!secret' is not accepted"),
        ("either: !!int x", "f.yaml:1: 'x' is no int"),
        ("either: &a [*a]", "f.yaml:1: '*a' contains itself"),
        ("either: *a", "f.yaml:1: no anchor '&a' before this alias"),
        ("? [a]\n: 1", "f.yaml:1: a key must be a word, not a list, object or alias"),
        ("~: 1", "f.yaml:1: a key is missing before ':'"),
        ("either: " + "9" * 5000, "f.yaml:1: a number with too many digits"),
        ("either: 1e999", "f.yaml:1: a number with too many digits"),
        ("either: !!float " + "9" * 4000, "f.yaml:1: a number with too many digits"),
        ("either: !!float 1e999", "f.yaml:1: a number with too many digits"),
        ('{"either": -1e999}', "f.yaml:1: a number with too many digits"),
        ("ratio: 1\neither: \x01", "f.yaml:2: a control character is not allowed here"),
        ("either: " + "[" * 150 + "]" * 150, "f.yaml:1: nested more than 100 levels deep"),
        ("either: " + "{a: " * 150 + "}" * 150, "f.yaml:1: nested more than 100 levels deep"),
    ],
    ids=range(24),
)
def test_what_is_no_document_is_refused(text: str, message: str) -> None:
    assert complaint(text) == message


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    assert "nested more than" in complaint("[" * 100_000)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "aliases multiply" in complaint("\n".join(lines))


def test_aliases_and_merges_read_as_copies() -> None:
    text = "items:\n- &base {name: a, count: 3}\n- <<: *base\n  name: b\n- *base\n"
    assert document.load(text, Box, source="f").items == [Item("a", 3), Item("b", 3), Item("a", 3)]


def test_a_merge_keeps_the_first_of_several_sources() -> None:
    text = "byName:\n  a: &a {name: a, count: 3}\n  b: &b {name: b, size: large}\n  c: {<<: [*a, *b]}\n"
    assert document.load(text, Box, source="f").by_name["c"] == Item("a", 3, size="large")


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("08", 8.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".nan", ".nan"),
        ("1_000", 1000),
        ("'7'", "7"),
        ("!!str 7", "7"),
        ("! 7", "7"),
        ("!!float 7", 7.0),
        ("~", None),
        ("", None),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
    ],
)
def test_scalars_read_as_kubernetes_reads_them(scalar: str, value: Any) -> None:
    assert document.load_all(f"a: {scalar}", source="f") == [{"a": value}]


def test_keys_are_text() -> None:
    assert document.load_all("{1: a, true: b, 0x10: c}", source="f") == [{"1": "a", "true": "b", "0x10": "c"}]


def test_a_stream_gives_every_object_and_skips_empty_ones() -> None:
    assert document.load_all("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n", source="f") == [
        {"a": 1},
        {"b": 2},
    ]


def test_a_stream_holds_objects_only() -> None:
    with pytest.raises(DocumentError, match=r"^f:3: an object is expected, not a list$"):
        document.load_all("a: 1\n---\n- b\n", source="f")


def test_a_file_is_read_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "box.yaml"
    path.write_bytes(b"\xef\xbb\xbfratio: x\n")
    with pytest.raises(DocumentError, match=r"box\.yaml:1: ratio: a number is expected, not text$"):
        document.load_file(path, Box)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"none\.yaml: cannot be read: No such file or directory$"):
        document.load_file(tmp_path / "none.yaml", Box)


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "image.yaml"
    path.write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(DocumentError, match=r"image\.yaml:2: not UTF-8 text$"):
        document.load_file(path, Box)


def test_an_error_of_meaning_can_name_the_line_of_any_part() -> None:
    parsed = document.parse("items:\n- name: a\n- name: b\n", source="f")
    assert str(parsed.error(("items", 1, "name"), "taken")) == "f:3: taken"
    assert str(parsed.error(("items", 1, "count"), "too small")) == "f:3: too small"


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("h100", ["h100-80gb", "h100-94gb", "l4"], "; did you mean 'h100-80gb' or 'h100-94gb'?"),
        ("NAME", ["name"], "; did you mean 'name'?"),
        ("nmae", ["name"], "; did you mean 'name'?"),
        ("zebra", ["name"], ""),
        ("", ["name"], ""),
    ],
)
def test_the_nearest_known_word_is_offered(word: str, known: list[str], hint: str) -> None:
    assert document.nearest(word, known) == hint


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_all_json_reads_as_itself(value: Any) -> None:
    text = msgspec_json.encode(value).decode()
    assert document.load_all(text, source="f") == ([value] if value is not None else [])


def test_a_json_key_may_be_long() -> None:
    assert document.load_all('{"' + "k" * 5000 + '": 1}', source="f") == [{"k" * 5000: 1}]


@given(st.text())
def test_no_text_escapes_as_another_error(text: str) -> None:
    try:
        document.load(text, Box, source="f")
    except DocumentError as error:
        assert "\n" not in str(error)


PARSERS = [
    pytest.param(parser, marks=pytest.mark.skipif(parser is None, reason="PyYAML without libyaml"))
    for parser in (getattr(yaml, "CSafeLoader", None), yaml.SafeLoader)
]
"""libyaml's, where PyYAML has it; and its own."""


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}\n", "f:3: 'c' is given twice (first on line 2)"),
        ("a:\n- !secret x\n", "f:2: tag '!secret' is not accepted"),
        ("a: *b\n", "f:1: no anchor '&b' before this alias"),
        ("a: &a\n- *a\n", "f:2: '*a' contains itself"),
        ("a:\n  ? [b]\n  : 1\n", "f:2: a key must be a word, not a list, object or alias"),
        ("a:\n  <<: 1\n", "f:2: '<<' merges objects only"),
        ("a: >\n  1\nb: " + "[" * 150 + "]" * 150, "f:3: nested more than 100 levels deep"),
        ("a: 1\nb: \x01", "f:2: a control character is not allowed here"),
    ],
    ids=range(8),
)
def test_what_we_refuse_is_said_alike_whichever_parser_there_is(
    text: str, message: str, parser: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_yaml, "_Loader", parser)
    with pytest.raises(DocumentError) as caught:
        document.load_all(text, source="f")
    assert str(caught.value) == message


def nodes(text: str, parser: object) -> tuple[object, object] | None:
    """Values with their lines, and keys that come again; None: it is refused."""
    repeats: list[Repeat] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_yaml, "_Loader", parser)
        try:
            return from_yaml.read_yaml("f", text, repeats), repeats
        except DocumentError:
            return None


written = st.builds(
    lambda values, flow, style, width: yaml.safe_dump_all(
        values, default_flow_style=flow, default_style=style, width=width, allow_unicode=True
    ),
    st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=3),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, '"', "'", "|", ">"]),
    st.sampled_from([20, 80]),
)
slips = st.lists(
    st.tuples(
        st.integers(0, 400), st.sampled_from(["- ", ": ", "\n", "  ", "{", "]", "'", "#", "&a ", "*a", "!x "])
    ),
    max_size=2,
)


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML without libyaml")
@given(written, slips)
def test_both_parsers_of_yaml_read_the_same(text: str, slips: list[tuple[int, str]]) -> None:
    for at, slip in slips:
        text = text[:at] + slip + text[at:]
    ours, theirs = nodes(text, yaml.SafeLoader), nodes(text, yaml.CSafeLoader)
    if not slips:
        assert ours is not None
        assert theirs is not None
    if ours is not None and theirs is not None:
        assert ours == theirs
