"""`aliquot install` and `aliquot uninstall`. One module for each command."""
