import ipaddress

from aliquot.cli.pod_networks import CLUSTER_NETWORK, MOST_NODES, assign
from aliquot.emulator.kubelet.machine import Machine


def test_each_node_has_a_network_of_its_own() -> None:
    assert assign(["a", "b"], {}) == {"a": "10.128.0.0/24", "b": "10.128.1.0/24"}


def test_known_nodes_keep_theirs_whatever_the_inventory_becomes() -> None:
    taken = assign(["a", "b", "c"], {})
    del taken["b"]
    assert assign(["new", "c", "a"], taken) == {
        "a": "10.128.0.0/24",
        "c": "10.128.2.0/24",
        "new": "10.128.1.0/24",
    }


def test_the_largest_fleet_has_enough_and_none_overlap() -> None:
    networks = assign([f"n{i}" for i in range(MOST_NODES)], {})
    assert len(set(networks.values())) == MOST_NODES
    last = ipaddress.IPv4Network(networks[f"n{MOST_NODES - 1}"])
    assert last.subnet_of(CLUSTER_NETWORK)
    assert last.num_addresses > Machine("n").pods + 2
