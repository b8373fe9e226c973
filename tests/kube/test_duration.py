import pytest

from aliquot.kube import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45m", 2700), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("0s", 0)],
)
def test_what_it_says(text: str, seconds: float) -> None:
    assert duration.seconds(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604_800, "168h"), (5400, "90m"), (90, "90s"), (0.25, "250ms"), (61.5, "61500ms"), (0, "0h")],
)
def test_how_it_is_written(seconds: float, text: str) -> None:
    assert duration.text(seconds) == text
    assert duration.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "1d", "-5m", "1 h", "h", "1.h", "5m\n", "\u0665m"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write 90s, 45m or 1h30m"):
        duration.seconds(text)


def test_the_longest() -> None:
    assert duration.seconds(f"{duration.LONGEST_S}s") == duration.LONGEST_S
    with pytest.raises(ValueError, match="'596524h' is too long: 68 years are the most, 2147483647s"):
        duration.seconds("596524h")


def test_of_many_figures_some_are_told() -> None:
    with pytest.raises(ValueError, match=r"^'9{64}'\.\.\. is too long"):
        duration.seconds("9" * 400 + "s")
