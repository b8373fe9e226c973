import pytest

from aliquot.access.log.witness.settings import WitnessSettings, check_witnesses
from aliquot.document import DocumentError, parse
from tests.access.log.logs import LOG, WITNESS

ONE = f"{{url: https://w.example.org, key: {WITNESS.public.text}}}"


def read(text: str) -> WitnessSettings:
    found = parse(text, source="server.yaml")
    settings = found.into(WitnessSettings)
    check_witnesses(found, (), settings)
    return settings


def test_what_is_left_out() -> None:
    assert read(f"servers: [{ONE}]").grants_wait_after_seconds is None
    assert read("{}").servers == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"servers: [{{url: 'http://w.example.org', key: {WITNESS.public.text}}}]", "1: .*in the clear"),
        (f"servers: [{{url: https://w, key: {LOG.public.text}}}]", "is no witness's key"),
        ("servers: [{url: https://w, key: nonsense}]", "is no key: write NAME"),
        (f"servers: [{ONE}, {ONE}]", "there is another witness 'witness.example.org/w1'"),
        (f"servers: [{ONE}]\nquorum: 2", "2: .*there are 1 witnesses, no 2"),
        (f"servers: [{ONE}]\neverySeconds: 300\ngrantsWaitAfterSeconds: 600", "3: .*at least 900"),
        (f"servers: [{ONE}]\nquorum: 0", "quorum"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        read(text)
