"""The steps of the lesson, one a file."""
