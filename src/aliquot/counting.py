"""Numbers in sentences."""


def counted(count: int, one: str, many: str) -> str:
    """`1 node is`, `3 nodes are`."""
    return f"{count} {one if count == 1 else many}"
