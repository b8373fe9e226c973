"""Which GPU is cut how, across the cluster: online placement, packing, re-planning; and the controller that acts on it.

The planners are pure and never look at single GPUs where they need not: GPUs of one board in the same state are alike,
and a board has some hundred states (`board_states`), however large the cluster. Used by the scheduler, never by node
agents.
"""
