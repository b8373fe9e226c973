"""An upgrade, decided before it begins: hops, steps, what they take, whom they disturb, and what they rest on.

Everything in here reads. Planning itself is pure: an estate and targets in, a plan out; the same in, the same out.
"""
