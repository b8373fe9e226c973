"""What a cycle saw and what it decided, as plain data: so that it can be decided again elsewhere, bit for bit.

`case` is what a cycle goes by, `document` the same on disk, `capturing` and `restoring` lead from one to the other, and
`verdict` holds the two outcomes against each other. All of that is pure; `keeping` alone writes files.
"""
