"""Labels that say on the Node what GPUs it has: those of NVIDIA's GPU feature discovery, and some of our own.

`features` decides which labels there are, `writer` puts them on the Node. Nothing here reads a GPU.
"""
