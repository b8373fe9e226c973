"""`aliquot mig`: cut GPUs into slices, by the files of mig-parted. One module for each command or two."""
