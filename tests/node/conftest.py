"""What tests of the node agent start from."""

import pytest

from aliquot.gpu.simulated import SimulatedDriver
from tests.node.machines import machine


@pytest.fixture
def h100() -> SimulatedDriver:
    return machine("h100-80gb:1:mig")
