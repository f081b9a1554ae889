"""Commands of the link to the satellite: its end, and the key folders of both."""
