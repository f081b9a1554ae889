"""ROS clients of a running station: order it to work, and listen to what it publishes."""
