"""The partitioner as it runs: what pods are to get, and what nobody has needed for a while, become GPUNode.spec.

    pods (assignments, needs) + GPUNode (spec, status) --wishes--> GPUNode.spec

`wishes` is the decision for one GPU, pure; `claims` and `needs` say what pods want of it; `loop` writes. Only GPUNode.spec
is written: the node's agent carries it out, and never takes from anybody what he holds.
"""
