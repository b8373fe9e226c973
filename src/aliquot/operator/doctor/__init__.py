"""What is wrong with the node software of a cluster, by what its API shows, and what to do about it.

`seen` is what is read, `reading` reads it; everything between is pure: `installation`, `policies` and `nodes` find,
`advice` knows what to do, `examining` puts the findings in their order.
"""
