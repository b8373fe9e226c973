"""The configuration of NVIDIA's device plugin, version v1, and what it comes to on one node.

`file` reads it, `settings` merges it with flags and environment, `choice` says which of several files a node takes,
`references` says which devices are meant. Pure: it knows neither the driver nor kubelet.
"""
