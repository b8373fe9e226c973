"""Hours of a cluster in seconds: jobs come, run and end in virtual time, and the scheduler's own core decides.

Nothing is imitated: the snapshot, the lines, the queues and the cycle are those of the scheduler as it runs. Pure: chance and
timers come in as arguments.
"""
