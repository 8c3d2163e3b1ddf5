"""Something to look at without a file of one's own: photographs and clips that need no network."""

from tokenlearner.samples.catalog import Sample, default_cache_dir, list_samples, sample_path

__all__ = ["Sample", "default_cache_dir", "list_samples", "sample_path"]
