"""Whether a node's GPUs can be used: driver, toolkit, what is advertised, and a pod that gets a device.

`checks` judges, `devices` finds what a pod could have, `workload` is that pod and what becomes of it; all three pure.
`answers` asks driver and container, `trial` runs the pod, `validator` does all of it, again and again, and tells it.
`vector_add` is what the pod runs.
"""
