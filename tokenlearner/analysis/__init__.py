"""Numbers about one analysis: what maps look like, how tokens move, what each is worth, what doubt is left."""
