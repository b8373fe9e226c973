"""Pod addresses of one node."""

import ipaddress


class AddressPool:
    """Hands out the addresses of `cidr` in turn, so that one comes back late. Network and gateway are kept."""

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.ip_network(cidr)
        self._next = 2
        self._taken: set[str] = set()

    def take(self) -> str:
        """A free address. Raises LookupError when there is none."""
        last = self._network.num_addresses - 1
        for _ in range(last):
            index, self._next = self._next, self._next + 1
            if self._next >= last:
                self._next = 2
            address = str(self._network[index])
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise LookupError(f"no address left in {self._network}")

    def keep(self, address: str) -> None:
        """`address` is in use already."""
        self._taken.add(address)

    def give_back(self, address: str) -> None:
        self._taken.discard(address)
