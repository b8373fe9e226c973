"""What makes the objects of a cluster act: Deployments roll out, Jobs run, owners take their dependents with them.

One module for each controller: a pure core that decides (structs and the time in, actions out) and a thin shell
that reads caches and writes through the client. Every shell is level-triggered: it may be killed at any await and
started again, and each of its writes carries a precondition or does no harm when repeated. `run.run_all` starts
them all.
"""
