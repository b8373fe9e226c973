"""What a kubelet may do: its own node, the pods on it, and what those pods need. Nothing of its neighbours.

The authorizer decides what can be told from the request and the graph of nodes, pods and what pods refer to; what
takes a look at the object itself (labels, taints, the name of a new Lease) is admission's (`restriction`).
"""

from aliquot.emulator.node_access.authorizer import NodeAuthorizer
from aliquot.emulator.node_access.graph import NodeGraph
from aliquot.emulator.node_access.identity import NODES, node_name
from aliquot.emulator.node_access.restriction import NodeRestriction

__all__ = ["NODES", "NodeAuthorizer", "NodeGraph", "NodeRestriction", "node_name"]
