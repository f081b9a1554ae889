"""The station as processes, free of ROS: which nodes there are, how they start, and their life cycle."""
