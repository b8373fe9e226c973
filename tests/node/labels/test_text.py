"""Names as labels may hold them."""

import re

import pytest

from aliquot.gpu import boards
from aliquot.node.labels.text import MAX_LENGTH, product, sanitised, shortened

VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA-H100-80GB-HBM3"),
        ("NVIDIA TITAN X (Pascal)", "NVIDIA-TITAN-X-Pascal"),
        ("  two   blanks  ", "two-blanks"),
        ("some [ / thing / ]else", "some-thing-else"),
        ("p4d.24xlarge_x", "p4d.24xlarge_x"),
        ("Größe\n", "Gre"),
        ("", ""),
    ],
)
def test_what_a_label_cannot_hold_is_left_out(text: str, expected: str) -> None:
    assert sanitised(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 70, "a" * 63),
        ("a" * 62 + "-b", "a" * 62),
        ("-_.a.", "a"),
        ("-", ""),
    ],
)
def test_a_value_begins_and_ends_with_a_letter_or_digit(text: str, expected: str) -> None:
    assert shortened(text) == expected


@pytest.mark.parametrize(
    ("model", "parts", "expected"),
    [
        ("NVIDIA L4", (), "NVIDIA-L4"),
        ("NVIDIA L4", ("SHARED",), "NVIDIA-L4-SHARED"),
        ("NVIDIA A30", ("MIG", "1g.6gb"), "NVIDIA-A30-MIG-1g.6gb"),
        ("", ("MIG", "1g.6gb"), "MIG-1g.6gb"),
        (
            "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
            ("MIG", "1g.24gb.me.all", "SHARED"),
            "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-W-MIG-1g.24gb.me.all-SHARED",
        ),
    ],
)
def test_of_a_long_product_the_model_is_cut_short(model: str, parts: tuple[str, ...], expected: str) -> None:
    assert product(model, *parts) == expected
    assert len(expected) <= MAX_LENGTH


@pytest.mark.parametrize("name", sorted({name for board in boards.boards() for name in board.products}))
def test_every_known_board_has_a_valid_label(name: str) -> None:
    for parts in ((), ("MIG", "INVALID"), ("MIG", "7g.141gb.me.all", "SHARED")):
        assert VALUE.fullmatch(product(name, *parts))
