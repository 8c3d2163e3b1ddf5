"""Training: photographs in, checkpoints with honest cards out."""
