"""Time tags over a socket: a stream for TDCs built in an FPGA, described in ``doc/drivers/tag_stream.md``."""
