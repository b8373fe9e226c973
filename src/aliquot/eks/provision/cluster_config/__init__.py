"""A file that says which cluster is wanted: eksctl's ClusterConfig, read strictly."""
