"""Ticket systems: whether a ticket stands is asked of its own system, each time anew; what became of a grant is written back.

What comes in by webhooks (`incoming/`) is never believed on its own: it says what to look at. Whatever cannot be asked or
understood does not stand.
"""
