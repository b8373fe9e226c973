"""The text format, and a foreign reader of it."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aliquot.metrics.exposition import Family, Kind, Sample, labels, render


def one(value: float, *pairs: tuple[str, str], kind: Kind = Kind.GAUGE) -> str:
    return render([Family("m", kind, "Some text.", [Sample(labels(*pairs), value)])])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (2**53, "9007199254740992"),
        (0.25, "0.25"),
        (1e-7, "1e-07"),
        (True, "1"),
        (False, "0"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert one(value) == f"# HELP m Some text.\n# TYPE m gauge\nm {text}\n"


def test_labels_keep_their_order() -> None:
    assert one(1, ("gpu", "0"), ("UUID", "GPU-1"), ("device", "nvidia0")).splitlines()[2] == (
        'm{gpu="0",UUID="GPU-1",device="nvidia0"} 1'
    )


@pytest.mark.parametrize("value", ['a "quoted" name', "back\\slash", "two\nlines", "ÄÖ", ""])
def test_any_label_value_arrives_at_the_reader(value: str) -> None:
    (family,) = text_string_to_metric_families(one(1, ("l", value)))
    assert family.samples[0].labels == {"l": value}


def test_a_counter_needs_no_suffix() -> None:
    assert one(1, kind=Kind.COUNTER) == "# HELP m Some text.\n# TYPE m counter\nm 1\n"


def test_a_metric_without_samples_is_not_there() -> None:
    assert render([Family("m", Kind.GAUGE, "Some text.", [])]) == ""
