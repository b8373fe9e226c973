import pytest

from aliquot.cli.eks.reading import run


class Cluster:
    written_out = 0

    def __repr__(self) -> str:
        Cluster.written_out += 1
        return "all of it"


async def read() -> Cluster:
    return Cluster()


async def fail() -> Cluster:
    raise ValueError("no")


def test_what_was_read_is_given_and_never_written_out() -> None:
    assert isinstance(run(read()), Cluster)
    assert Cluster.written_out == 0


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="no"):
        run(fail())
