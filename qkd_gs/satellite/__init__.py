"""The satellite's end of the link, for a mission's ground segment or a second bench computer."""
