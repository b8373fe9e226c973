"""mig-parted's configurations, read and written as they are: which GPUs shall be cut into what.

`file` is the format, `device_filter` tells boards apart, `selection` finds the entry that is for a GPU, `export` turns
what is there into a file, and `generate` makes the configurations that everybody begins with. `hooks` is the format of
mig-parted's other file: commands around a change. All of it is text and data; nothing here changes a GPU.
"""
