"""What the firmware says the machine is."""

from pathlib import Path

from aliquot.node.labels.machine_type import read_machine_type


def test_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "product_name").write_text("ProLiant DL380 Gen10\n")
    assert read_machine_type(str(tmp_path / "product_name")) == "ProLiant DL380 Gen10"


def test_without_the_file_it_is_unknown(tmp_path: Path) -> None:
    assert read_machine_type(str(tmp_path / "product_name")) == "unknown"
    assert read_machine_type("") == "unknown"
