"""What an MPS server takes, by compute capability."""

import pytest

from aliquot.gpu.mps import most_clients


@pytest.mark.parametrize(("major", "clients"), [(6, 16), (7, 48), (8, 48), (12, 48)])
def test_volta_takes_as_many_clients_as_what_came_after(major: int, clients: int) -> None:
    assert most_clients(major) == clients
