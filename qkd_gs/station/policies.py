"""Policies of SROS2 for every node of the station: who may publish, subscribe, serve and call what.

`ros2 security create_permission KEYSTORE ENCLAVE FILE` makes signed permissions of them, with which DDS Security
refuses everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from qkd_gs.station.graph import NodeSpec
from qkd_gs.station.topics import INTERFACES, OF_EVERY_NODE, Interfaces

OPERATOR = 'operator'  # enclave of people's tools: watch, track, calibrate, rviz, recording from outside
_VERSION = '0.2.0'
_PARAMETERS = (
    'describe_parameters', 'get_parameter_types', 'get_parameters', 'list_parameters', 'set_parameters',
    'set_parameters_atomically',
)  # fmt: skip
_LIFECYCLE = ('change_state', 'get_available_states', 'get_available_transitions', 'get_state', 'get_transition_graph')
_OPERATORS_NODES = ('watch', 'rviz', 'rqt')


def enclave_of(namespace: str, name: str) -> str:
    """Path of a node's enclave in the keystore."""
    return '/'.join(('', *namespace.strip('/').split('/'), 'qkd_gs', name)).replace('//', '/')


def policy(nodes: Sequence[NodeSpec], namespace: str = '') -> str:
    """The policies of a station's nodes, one enclave each, and of its operators' tools, as the XML of SROS2.

    Parameters
    ----------
    nodes : sequence of NodeSpec
        From `qkd_gs.station.graph.nodes_of`.
    namespace : str
        Of the station.
    """
    root = Element('policy', version=_VERSION)
    enclaves = SubElement(root, 'enclaves')
    place = f'/{namespace.strip("/")}'
    for spec in nodes:
        profile = _profile(enclaves, enclave_of(namespace, spec.name), place, spec.name)
        _node(profile, spec, nodes)
    for name in _OPERATORS_NODES:
        profile = _profile(enclaves, enclave_of(namespace, OPERATOR), place, name)
        _operator(profile, nodes)
    indent(root)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{tostring(root, encoding='unicode')}\n"


def _profile(enclaves: Element, enclave: str, namespace: str, node: str) -> Element:
    found = next((one for one in enclaves if one.get('path') == enclave), None)
    if found is None:
        found = SubElement(enclaves, 'enclave', path=enclave)
        SubElement(found, 'profiles')
    return SubElement(found[0], 'profile', ns=namespace, node=node)


def _node(profile: Element, spec: NodeSpec, nodes: Sequence[NodeSpec]) -> None:
    own = INTERFACES[spec.name]
    subscribed = _all_topics(nodes) if own.every_topic else own.subscribes
    _rule(profile, 'topic', 'publish', (*own.publishes, *OF_EVERY_NODE.publishes))
    _rule(profile, 'topic', 'subscribe', (*subscribed, *OF_EVERY_NODE.subscribes))
    _rule(profile, 'service', 'reply', (f'~/{name}' for name in _PARAMETERS))
    _rule(profile, 'service', 'reply', own.services)
    _rule(profile, 'service', 'request', own.asks)
    _rule(profile, 'action', 'execute', own.actions)
    _rule(profile, 'action', 'call', own.calls)
    if spec.lifecycle:
        _rule(profile, 'service', 'reply', (f'~/{name}' for name in _LIFECYCLE))
        _rule(profile, 'topic', 'publish', ('~/transition_event',))
    if spec.name == 'monitor':
        _rule(profile, 'service', 'request', (f'{one.name}/change_state' for one in nodes if one.lifecycle))


def _operator(profile: Element, nodes: Sequence[NodeSpec]) -> None:
    served = [INTERFACES[spec.name] for spec in nodes]
    _rule(profile, 'topic', 'subscribe', _all_topics(nodes))
    _rule(profile, 'topic', 'publish', ('/rosout', '/parameter_events'))
    _rule(profile, 'action', 'call', (action for one in served for action in one.actions))
    _rule(profile, 'service', 'request', (service for one in served for service in one.services))
    _rule(profile, 'service', 'request', (f'{spec.name}/{name}' for spec in nodes for name in _PARAMETERS))
    lifecycle = [spec.name for spec in nodes if spec.lifecycle]
    _rule(profile, 'service', 'request', (f'{node}/{name}' for node in lifecycle for name in _LIFECYCLE))


def _all_topics(nodes: Sequence[NodeSpec]) -> list[str]:
    interfaces: list[Interfaces] = [*(INTERFACES[spec.name] for spec in nodes), OF_EVERY_NODE]
    return sorted({topic for one in interfaces for topic in one.publishes})


def _rule(profile: Element, kind: str, verb: str, names: Iterable[str]) -> None:
    """One list of names that may be used so; an empty one is none."""
    names = list(dict.fromkeys(names))
    if names:
        rules = SubElement(profile, f'{kind}s', {verb: 'ALLOW'})
        for name in names:
            SubElement(rules, kind).text = name
