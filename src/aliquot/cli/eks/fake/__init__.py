"""`aliquot eks fake`: the fake of EKS, and an emulated cluster behind each of its clusters."""
