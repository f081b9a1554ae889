"""Record of a pass: the run, its manifest and its metrics."""
