"""`aliquot operator`: the node software of GPU nodes. One module for each command."""
