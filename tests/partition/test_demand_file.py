import pytest

from aliquot.document import DocumentError
from aliquot.partition.demand_file import parse

KNOWN = {"1g.10gb", "3g.40gb", "7g.80gb"}


@pytest.mark.parametrize(
    ("text", "demand"),
    [
        ("demand: {1g.10gb: 120, 3g.40gb: 7}", {"1g.10gb": 120, "3g.40gb": 7}),
        ("demand:\n- {profile: 7g.80gb}\n- {profile: 7g.80gb, count: 2}\n", {"7g.80gb": 3}),
    ],
)
def test_what_files_say(text: str, demand: dict[str, int]) -> None:
    assert parse(text, KNOWN, source="d.yaml") == demand


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("demand:\n  1g.10g: 1\n", "d.yaml:2: no board here has a profile '1g.10g'; did you mean '1g.10gb'?"),
        (
            "demand:\n- profile: 1g.10gb\n- profile: whole\n",
            "d.yaml:3: no board here has a profile 'whole'; there are 1g.10gb, 3g.40gb, 7g.80gb",
        ),
        ("demand: {1g.10gb: 0}", "d.yaml:1: demand.1g.10gb: a whole number >= 1 is expected, not 0"),
        ("demand: {}", "d.yaml:1: the demand is empty: name a profile and how many of it"),
        ("demands: {}", "d.yaml:1: unknown field 'demands'; did you mean 'demand'?"),
        ("demand: [{profil: a}]", "d.yaml:1: unknown field 'profil' in demand[0]; did you mean 'profile'?"),
    ],
)
def test_complaints_name_the_place(text: str, complaint: str) -> None:
    with pytest.raises(DocumentError) as error:
        parse(text, KNOWN, source="d.yaml")
    assert str(error.value) == complaint
