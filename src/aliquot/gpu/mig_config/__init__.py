"""mig-parted's configurations, read and written as they are: which GPUs shall be cut into what.

`file` is the format, `selection` finds the entry that is for a GPU, `export` turns what is there into a file, and
`generate` makes the configurations that everybody begins with.
"""
