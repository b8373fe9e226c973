"""How well ways of placement pack a recorded workload: traces in, allocation of GPUs out.

Pure: randomness and timers come in as arguments, and a seed repeats a run to the last figure. Numpy is allowed here:
a policy scores all nodes that changed since it last looked, at once.
"""
