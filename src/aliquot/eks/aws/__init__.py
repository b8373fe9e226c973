"""Calls to AWS: one door for all services, and what went wrong as one line.

Whoever plans and decides does not call; whoever calls takes an `Api`, so that a simulation on virtual time and a real account look
the same to it.
"""
