"""The ROS 2 nodes, thin: each is a process of the station around what the other packages can do."""
