from pathlib import Path

import pytest

from aliquot.access.serving.https import CannotServe
from aliquot.access.serving.service import audit_token


def test_a_token_that_cannot_be_used_is_told_before_anything_is_served(tmp_path: Path) -> None:
    path = tmp_path / "demo.audit"
    with pytest.raises(
        CannotServe, match=r"demo.audit: cannot be read: No such file or directory; make what"
    ):
        audit_token(path)
    path.write_text("short\n")
    with pytest.raises(CannotServe, match=r"demo.audit: a secret that short can be guessed"):
        audit_token(path)
    path.write_text("0123456789abcdef\n")
    assert audit_token(path) == str(path)
