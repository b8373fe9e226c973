"""Who else hands out GPUs of this node: what is theirs is left alone, for a GPU that two hand out is given twice."""
