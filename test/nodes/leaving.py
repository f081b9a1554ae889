"""How a test's own node leaves the graph."""

from rclpy.action import ActionClient, ActionServer
from rclpy.lifecycle.node import LifecycleNodeMixin


def leave_graph(executor, node, context):
    """Take the node, all that it has, and its context off the graph."""
    executor.shutdown()
    destroy(node)
    context.try_shutdown()


def destroy(node):
    """Take a node and all that it has off the graph.

    rclpy leaves clients and servers of actions, and what a lifecycle is made of, to the garbage collector.  Until then
    they stay in the graph, where the next test may meet them.  And it may come in mid-test, while a message is read,
    and then hang in a deadlock of Fast DDS (eProsima/Fast-DDS issue 6502).
    """
    for action in [one for one in node.waitables if isinstance(one, ActionClient | ActionServer)]:
        action.destroy()
    node.destroy_node()
    if isinstance(node, LifecycleNodeMixin):
        node._state_machine.destroy_when_not_in_use()
