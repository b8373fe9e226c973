"""Reports for auditors: who could have what and had it, who agreed, how it ended, and whether the log holds.

Pure: requests with their log entries come in, rows go out, one after the other, so that no report is held as a whole. Every number
is counted anew from them; nothing is counted beside. What people wrote in their own words is in no report, so that one can be kept for
longer than the words.
"""
