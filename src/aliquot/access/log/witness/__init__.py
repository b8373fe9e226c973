"""A witness of logs, run by another team: it signs that a log only ever grew, as far as it was shown (c2sp.org/tlog-witness).

It keeps one checkpoint of each log, the last that it signed, and signs the next one only if that goes on from it. So nobody can be
shown another log than everybody else, not even by whoever holds the log's key.
"""
