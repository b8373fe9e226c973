"""Clusters that are made, and taken away again.

A file says what is wanted (`cluster_config`), the account and region say what there is (`site`); both come to a list of resources in
order (`wanted`), each with the call that makes it and the one that finds it. Whoever makes them (`creating`) looks first, so that it
can die anywhere and be run again; whoever takes them away (`deleting`) goes by tags, so that it needs no file and no memory.
"""
