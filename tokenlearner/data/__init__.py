"""Photographs in class folders: read, split by file, decoded once; objects cut out of white ground."""
