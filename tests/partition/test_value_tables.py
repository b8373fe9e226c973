"""The shipped tables are whole, and come back as they were written."""

import msgspec
import pytest

from aliquot.partition.policies.learned import INSTANCES, features
from aliquot.partition.value_tables import decode, encode, shipped
from tests.partition.boards import states


def test_shipped_tables_are_of_the_common_boards_and_of_features_that_there_are() -> None:
    known = {*features(states()), INSTANCES}
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
