"""`aliquot access`: break glass. One module for each command or two."""
