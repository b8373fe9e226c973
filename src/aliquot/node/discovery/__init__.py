"""Which nodes have GPUs, before anything else of ours is there: a look at the PCI bus, told by a label of the Node.

`pci` reads what the kernel says of its devices; `labeller` keeps the label as the bus is.
"""
