"""Numbers about token maps: what they look like, what they look at, and what naive maps would reach.

`maps` and `objects` are NumPy alone; `collect`, `cause` and `evaluate` run networks and import torch.
"""
