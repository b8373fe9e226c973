"""The exchange of drivers, carried out: `core/upgrade` decides, over what `reading` makes of the caches.

`loop` follows the cluster and steps each node; who starts is decided in one place, over a view that has the writes just made in it
(`latest`). `node_write` and `pod_writes` do what a step says.
"""
