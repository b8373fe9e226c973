"""The few changes that are made to objects at the door: a pod that names a GPUClass asks for its resource, and is ours.

`pods` is the rule, pure; `policy` says the same in CEL, for clusters that serve MutatingAdmissionPolicy: nothing of ours
runs then. Elsewhere a webhook does it: `reviews` answers, `server` serves, `certificates` is what it is known by,
`registration` keeps the cluster told of it. `installation` chooses between the two.
"""
