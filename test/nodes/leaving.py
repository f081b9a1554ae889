"""How a test's own node leaves the graph."""

from rclpy.action import ActionClient, ActionServer


def leave_graph(executor, node, context):
    """Take the node, all that it has, and its context off the graph."""
    executor.shutdown()
    destroy(node)
    context.try_shutdown()


def destroy(node):
    """Take a node and all that it has off the graph.

    rclpy leaves clients and servers of actions to the garbage collector.  That may come in mid-test, while a message is
    read, and then hang in a deadlock of Fast DDS (eProsima/Fast-DDS issue 6502).
    """
    for action in [one for one in node.waitables if isinstance(one, ActionClient | ActionServer)]:
        action.destroy()
    node.destroy_node()
