"""Publishers that sign and subscriptions that verify; see `qkd_gs.station.authenticity`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from qkd_gs.nodes.conversions.cdr import Codec
from qkd_gs.station.authenticity import TOO_OLD, Signer, Verifier

_PROOF = ['counter', 'tag']  # the last fields of a message that carries one


def is_signed(kind: type) -> bool:
    """Whether messages of a type carry a proof of their origin."""
    fields: dict[str, str] = getattr(kind, 'get_fields_and_field_types', dict)()
    return list(fields)[-2:] == _PROOF


class SigningPublisher:
    """Publisher of a signed topic."""

    def __init__(self, publisher: Any, key: bytes) -> None:
        self._handle, self._signer = publisher.handle, Signer(key, publisher.topic_name)
        self._codec = Codec(publisher.msg_type)

    def publish(self, message: Any) -> None:
        """Sign and publish."""
        with self._handle:
            self._handle.publish_raw(self._signer.sign(self._codec.encode(message)))


class PlainPublisher:
    """Publisher of a topic whose type `Codec` can serialize."""

    def __init__(self, publisher: Any) -> None:
        self._handle, self._codec = publisher.handle, Codec(publisher.msg_type)

    def publish(self, message: Any) -> None:
        """Publish."""
        with self._handle:
            self._handle.publish_raw(self._codec.encode(message))


class Refusals:
    """Messages that were refused, by topic and reason, since the last `report`."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, str]] = Counter()

    def add(self, topic: str, reason: str) -> None:
        """Count one."""
        self._counted[topic, reason] += 1

    def report(self) -> str:
        """Of which topics how many were refused, in words; empty: none."""
        counted, self._counted = self._counted, Counter()
        return '; '.join(
            f'{count} message{"s" if count > 1 else ""} on {topic} refused: it {reason}'
            for (topic, reason), count in counted.most_common()
        )


class Authentic:
    """Hands over the messages of a topic that are authentic.

    Parameters
    ----------
    take : callable
        Told each of them, or the newest alone.
    fresh_ns, age_ns : int or None, callable
        As `Verifier` takes them.
    """

    def __init__(
        self,
        take: Callable[[Any], Any],
        kind: type,
        topic: str,
        key: bytes,
        fresh_ns: int | None,
        age_ns: Callable[[int], int],
        refusals: Refusals,
    ) -> None:
        self._deliver, self._codec, self._topic, self._refusals = take, Codec(kind), topic, refusals
        self._verifier = Verifier(key, topic, fresh_ns, age_ns)
        self._newest: bytes | None = None
        self._too_old = ''  # objection to a message that was kept

    def take(self, data: bytes) -> None:
        """Verify a serialized message and hand it over."""
        objection = self._verifier.objection(data)
        if objection:
            self._refusals.add(self._topic, objection)
        else:
            self._deliver(self._codec.decode(data))

    def keep(self, data: bytes) -> None:
        """Verify a serialized message, which `take_newest` hands over if no other comes before.

        Nobody is at fault if a node that looks seldom finds an old one before the newest.
        """
        objection = self._verifier.objection(data)
        if not objection:
            self._newest = data
        elif objection.startswith(TOO_OLD):
            self._too_old = objection
        else:
            self._refusals.add(self._topic, objection)

    def take_newest(self) -> None:
        """Hand over the newest message kept, if there is one."""
        newest, self._newest = self._newest, None
        too_old, self._too_old = self._too_old, ''
        if newest is not None:
            self._deliver(self._codec.decode(newest))
        elif too_old:
            self._refusals.add(self._topic, too_old)
