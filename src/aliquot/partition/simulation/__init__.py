"""How well policies place requests on fleets of MIG GPUs: a seeded event simulation, its measures, its references.

Pure: randomness and timers come in as arguments, and a seed repeats a run to the last figure. Time is in mean
durations of a request. Policies are compared on the same requests, so that differences are paired.
"""
