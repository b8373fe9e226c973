"""The log in the forms that other systems read: OCSF for a SIEM, CloudEvents for a bus, CSV for a spreadsheet.

Each is a function over what a dump says, in order. None of them proves anything: `verify` the dump, then export it.
"""
