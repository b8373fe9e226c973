"""What kind of machine the node is, as its firmware says."""

from pathlib import Path

from aliquot.node.labels.features import UNKNOWN


def read_machine_type(path: str) -> str:
    """Of Settings.machine_type_file. Blocks; `unknown` where there is no such file."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return UNKNOWN
