"""What is known about Kubernetes minors: support and its price, APIs that end, what behaves otherwise, which parts go with which.

Versions are data. What is shipped serves planning without AWS; what AWS says now is laid over it (`live`) and wins.
"""
