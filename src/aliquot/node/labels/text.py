"""Names of boards and machines as text that a label may hold."""

import re

MAX_LENGTH = 63
"""Of a label's value, and of its key after the slash."""
_ENDS = "-_."
"""May stand inside, but neither first nor last."""
_FOREIGN = re.compile(r"[^A-Za-z0-9_. -]")


def sanitised(text: str) -> str:
    """As NVIDIA writes it: `NVIDIA H100 80GB HBM3` is `NVIDIA-H100-80GB-HBM3`, and `(Pascal)` is `Pascal`."""
    return "-".join(_FOREIGN.sub("", text).split())


def shortened(text: str, length: int = MAX_LENGTH) -> str:
    return text.strip(_ENDS)[:length].rstrip(_ENDS)


def product(model: str, *parts: str) -> str:
    """`NVIDIA-L4`, `NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED`. Where it is too long the model gives way: the rest tells
    apart what differs on one node."""
    end = "".join(f"-{sanitised(part)}" for part in parts)
    return (shortened(sanitised(model), MAX_LENGTH - len(end)) + end).lstrip("-")
