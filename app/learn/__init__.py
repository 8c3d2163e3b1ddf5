"""The Learn page: a lesson in seven steps, each with an instrument on the reader's own picture."""
