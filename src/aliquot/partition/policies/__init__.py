"""Ways to choose a GPU and a start for one instance. One module per family.

`policy` says what a policy is: a score, tabled once per board. What cannot be said so, because it looks at nodes, or
at free instances rather than free slots, is a `Placer` of its own.
"""
