"""What Aliquot is in a cluster: all of its objects from one source, how they come there, and how they leave.

`rendering` gives the objects as plain data: `aliquot install` applies them, and the Helm chart is made from the same. Taking
nodes back is of this room too, for it has to work when the operator is dead.
"""
