"""Numbers of pods that a user gives as a number or as a percentage."""


def of(value: int | str, total: int, *, up: bool) -> int:
    """In pods: a percentage of `total`, rounded up or down."""
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%"))
    return -(-percent * total // 100) if up else percent * total // 100
