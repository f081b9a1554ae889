"""Error correction: interactive Cascade and one-way LDPC."""
