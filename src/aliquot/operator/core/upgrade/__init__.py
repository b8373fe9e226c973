"""The exchange of drivers: which nodes may be taken out now, and for each that is, the next step.

The states are upstream's (label `nvidia.com/gpu-driver-upgrade-state`), and everything that is to be remembered is on the
node itself, so that whoever decides may die between any two steps. `roll` says who starts, `steps` has one function for each
state, `windows` says when, `memory` is what a node carries.
"""
