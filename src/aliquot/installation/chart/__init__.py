"""The Helm chart, written from what `aliquot install` applies: `python -m aliquot.installation.chart deploy/chart/aliquot`.

Objects are rendered with the shipped values; where a value is to be the user's, a hole is left in the object, and the text has
a template's action there. So the chart cannot say anything else than the command.
"""
