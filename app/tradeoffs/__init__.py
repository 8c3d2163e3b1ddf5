"""The Trade-offs page: the paper's figures, a design bench, and where the counts come from."""
