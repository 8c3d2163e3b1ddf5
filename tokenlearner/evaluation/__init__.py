"""What a checkpoint is worth on a data set: its accuracy, and whether its maps mean anything."""
