"""`aliquot partition`: which GPU is cut how. One module for each command."""
