import pytest

from aliquot.kube.quoted import quoted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train", "'train'"),
        ("a\nb", "'a\\nb'"),
        ("", "''"),
        ("x" * 64, f"'{'x' * 64}'"),
        ("x" * 65, f"'{'x' * 64}'..."),
    ],
)
def test_as_it_is_told(text: str, told: str) -> None:
    assert quoted(text) == told
