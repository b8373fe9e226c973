"""What the containers of node software do on an emulated node, one module for each kind of container.

They are recognised by image and command, as the operator renders them. Where a part is ours, the real one runs: the agent,
the validator, discovery. NVIDIA's are stood in for by what they leave on a node: `software` is what a node has of it.
"""
