"""Multi-Process Service: one control daemon for each GPU or slice that containers share through it.

One daemon for each, so that a fault on one GPU ends nobody on another. `daemons` decides which are to run and keeps them;
`control` talks to a daemon by NVIDIA's own program, `directories` has their places on disk. The daemons' own limits stay
open: what a container may have follows from its shares, and is in its environment.
"""
