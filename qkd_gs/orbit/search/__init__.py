"""Search of passes: intervals above an elevation, from a table of positions or from the orbit itself."""
