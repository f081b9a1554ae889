"""A link that breaks before the n-th message of some kind, whoever says it."""

from qkd_gs.qkd.link.faults import ProtocolError


class Cut:
    """One end of the link; the message at which it breaks does not get through."""

    def __init__(self, channel, kind, number=1):
        self._channel, self._kind, self._left = channel, kind, number

    def send(self, message):
        self._break_before(message)
        self._channel.send(message)

    def receive(self):
        message = self._channel.receive()
        self._break_before(message)
        return message

    def close(self):
        self._channel.close()

    def _break_before(self, message):
        self._left -= message.kind is self._kind
        if message.kind is self._kind and not self._left:
            self._channel.close()
            raise ProtocolError('truncated', f'cut before {message.kind.name}')
