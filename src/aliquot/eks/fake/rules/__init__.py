"""What EKS does, one module for each noun. A rule gets the world, the call's parameters and the time; it answers or refuses."""
