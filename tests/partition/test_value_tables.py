"""The shipped tables are whole, and come back as they were written."""

import json
import re
from typing import Any

import msgspec
import pytest

from aliquot.partition.policies.learned import INSTANCES, feature_names, features, shape
from aliquot.partition.value_tables import BadTables, ValueTable, decode, encode, read, shipped
from tests.partition.boards import states


def test_shipped_tables_are_of_the_common_boards_and_of_features_that_there_are() -> None:
    known = {*features(states()), INSTANCES}
    assert known == feature_names(map(shape, states().profiles))
    assert len({table.name for table in shipped()}) == len(shipped()) > 0
    for table in shipped():
        assert table.fits(states()) and table.fits(states("a100-80gb")) and not table.fits(states("a30-24gb"))
        assert table.weights.keys() <= known
        assert sum(table.mix(states())) == pytest.approx(1)


def test_tables_come_back() -> None:
    assert decode(encode(shipped())) == shipped()


@pytest.mark.parametrize(
    "text", [b"{}", b'[{"name": "x"}]', b'[{"name": "x", "shares": {}, "weights": {}, "more": 1}]']
)
def test_what_is_no_table_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(text)


WHOLE = {"name": "own", "shares": {"1/1": 0.5, "4/4": 0.5}, "weights": {"starts 1/1": 1.0, "empty": -0.5}}


def file(*tables: dict[str, Any]) -> bytes:
    return json.dumps([WHOLE | table for table in tables]).encode()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": b"{"}, "a is no file of value tables: "),
        ({"a": b"[]"}, "a has no table: "),
        ({"a": file({"shares": {"1/1": 0.5, "4/4": 0.4}})}, "a: table 'own': the shares sum to 0.900"),
        ({"a": file({"shares": {"1/1": 1.5, "4/4": -0.5}})}, "a: table 'own': a share is below 0"),
        ({"a": file({"shares": {"1g.5gb": 1.0}})}, "a: table 'own': '1g.5gb' is no shape"),
        ({"a": file({"weights": {"emty": 1.0}})}, "there is no feature 'emty'; did you mean 'empty'?"),
        ({"a": file({"weights": {"starts 7/8": 1.0}})}, "there is no feature 'starts 7/8'"),
        ({"a": file({}), "b": file({})}, "b: there is another table 'own' for this board in a; "),
    ],
)
def test_a_table_that_would_not_do_what_it_says_is_refused(texts: dict[str, bytes], message: str) -> None:
    with pytest.raises(BadTables, match=re.escape(message)) as found:
        read(texts)
    assert "\n" not in str(found.value)


def test_own_tables_stand_beside_the_shipped_ones_and_take_the_place_of_their_namesakes() -> None:
    own = {"name": shipped()[0].name, "shares": shipped()[0].shares, "weights": {"empty": 1.0}}
    names = [(table.name, len(table.weights)) for table in read({"a": file(own, {})})]
    rest = [(table.name, len(table.weights)) for table in shipped()[1:]]
    assert names == [(own["name"], 1), ("own", 2), *rest]
    assert read({}) == shipped()
    # Of another board it is another table.
    both = read({"a": file({}), "b": file({"shares": {"1/2": 1.0}, "weights": {"empty": 1.0}})})
    assert [table.name for table in both][:2] == ["own", "own"]


def test_what_was_written_can_be_read() -> None:
    table = ValueTable("own", {"1/1": 1.0}, {"starts 1/1": 0.25})
    assert read({"a": encode([table])})[0] == table
