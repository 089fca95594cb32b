"""Memory: what a function takes for each logit, and the giant tensors that it is asked with."""
