"""Room for pods that wait, by cutting GPUs anew and moving what runs, within limits.

Aims, one after the other: by priority the most memory of what waits is admitted; on the fewest evictions; with the
fewest GPU instances made and destroyed; so that what is free is worth most. Exact, and of a size that does not depend
on how many GPUs there are: GPUs that are alike are counted, and told apart only when the answer is spelled out.

    limits    which pods may be moved, and why others may not
    pools     GPUs that are alike, in pools within which a pod does not care where it goes
    network   how GPUs of a pool fill up, as flow between occupancies
    model     the integer program over pools
    solving   one aim after the other, within the time there is
    concrete  which GPU, which pod
    ordering  what is done first: made before broken, where there is room
    planning  all of it: a cluster and limits in, a plan out
    plan      the answer, and what it makes of the cluster
"""
