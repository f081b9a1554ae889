"""Between core objects and ROS messages, both ways."""
