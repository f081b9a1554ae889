"""Files of other people's time taggers: `open_tags` reads each of them, tag by tag, and loses none silently."""
