"""An upgrade in place, step by step: each looked at, judged by a pure rule, and only then done; each call journaled before it is made.

AWS is asked what is so, never remembered. Whoever dies in the middle and comes back looks again, and goes on from there. Nothing is
forced: what speaks against a step holds it, and a person decides.
"""
