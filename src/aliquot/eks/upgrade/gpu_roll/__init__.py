"""What the roll of GPU nodes knows besides: who computes there and how he is asked to stop, and how the nodes' GPUs were cut.

Acts look and write through it. It decides nothing about AWS.
"""
