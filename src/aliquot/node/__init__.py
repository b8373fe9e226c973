"""The agent on each GPU node: finds GPUs, serves them to kubelet, cuts them as GPUNode.spec wants, says what is so.

Decisions are pure functions over one observation of the machine, kubelet and the API; `agent.Agent` composes them
with the driver, the sockets and the client. Must not import the partitioner or a scheduler: what is wanted arrives
in GPUNode.spec, who gets what in the pods' assignments.
"""
