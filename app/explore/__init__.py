"""The parts of the Explore page, one idea a file."""
