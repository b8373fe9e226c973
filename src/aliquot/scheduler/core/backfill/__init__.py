"""Smaller jobs in front of a bigger one that is blocked, as long as they do not delay it.

A blocked job is promised a start: the earliest at which it fits if what runs ends when it is expected to. From then on
nothing is started that would still be in its room by then. Pure: the time comes in as a number.
"""
