"""The Models page: every checkpoint with its card, and models that a visitor brings."""
