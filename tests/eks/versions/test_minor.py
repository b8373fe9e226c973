import pytest

from aliquot.eks.versions.minor import Minor


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1.31", Minor(1, 31)),
        ("v1.31.4-eks-a5e8b9c", Minor(1, 31)),
        ("1.31+", Minor(1, 31)),
        ("v1.9.11", Minor(1, 9)),
        ("1.32.0-rc.1", Minor(1, 32)),
    ],
)
def test_what_reads_as_a_minor(text: str, minor: Minor) -> None:
    assert Minor.parse(text) == minor


@pytest.mark.parametrize("text", ["", "1", "latest", "1.x", "1.32x", "-1.32", "1.٣"])
def test_what_does_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as 1\.32"):
        Minor.parse(text)


def test_minors_are_numbers_and_not_texts() -> None:
    assert Minor(1, 9) < Minor(1, 10) < Minor(1, 31)
    assert Minor(1, 33).minus(Minor(1, 31)) == 2
    assert str(Minor(1, 30).next) == "1.31"
