"""A cluster as it is, read once: what AWS says of it and what its API server says, as plain data.

Everything that judges or plans has an `Estate` and nothing else, so a file of it is a preflight somewhere else, a plan's basis, a test.
What could not be read is named in it.
"""
