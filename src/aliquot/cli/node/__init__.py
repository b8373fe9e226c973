"""`aliquot node`: what runs on a GPU node. One module for each command."""
