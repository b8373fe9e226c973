"""Kubelet's two gRPC protocols (device plugin v1beta1, pod-resources v1) and the sockets that carry them.

Both sides are typed here: a node agent serves the plugin and asks kubelet, an emulated kubelet the other way round.
`*_pb2*.py` are generated from the `.proto` files (`make generate`); everything else is written by hand.
"""
