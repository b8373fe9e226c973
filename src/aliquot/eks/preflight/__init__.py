"""What speaks against an upgrade: one finding per row, judged by pure checks over what was read, before anything is changed.

A check never reads. What could not be read is *unchecked*, and never counts as passed.
"""
