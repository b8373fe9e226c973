"""Container Device Interface: what a runtime puts into a container for a GPU or a slice, written down where it looks.

`spec` says what is in the files, `driver_files` finds what the driver has on this machine, `writer` keeps the files.
"""
