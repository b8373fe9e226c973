"""MIG on one node: what has to change on its GPUs, and the changing.

`reconfiguration` plans for a whole GPU from a configuration, `decision` from what a GPUNode asks for, one look at a
time; `executor` carries out what either found. Where slices fit, and what they are called, is `aliquot.gpu`'s knowledge.
"""
