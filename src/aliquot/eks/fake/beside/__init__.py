"""What AWS has beside EKS and moto has not, one module for each noun: a rule gets the world, the call's parameters and the time."""
