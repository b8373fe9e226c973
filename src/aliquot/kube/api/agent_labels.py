"""What the node agent writes on its Node, for those who take it off after the agent has gone."""

FIELD_MANAGER = "aliquot-node-labels"
"""Of the labels that describe the GPUs, by server-side apply: an apply of nothing takes them off, and nobody else's."""
MIG_STATE = "nvidia.com/mig.config.state"
"""NVIDIA's, a label too; with the agent's other patches."""
