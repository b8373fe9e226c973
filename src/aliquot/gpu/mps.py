"""What CUDA MPS can and cannot do, by board."""

MOST_CLIENTS = 48
"""Of one server, Volta and later."""
_VOLTA = 7


def most_clients(compute_major: int) -> int:
    """How many processes one MPS server takes (NVIDIA, Multi-Process Service, "Client-Server Connection"). `compute_major`: of
    the GPU's compute capability."""
    return MOST_CLIENTS if compute_major >= _VOLTA else 16
