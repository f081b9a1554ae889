"""The ground's side of a run that makes one key of the kept bits of several passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.channel import Channel, Kind
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.kept_bits import KeptPass, counts_of_joined, joined_session
from qkd_gs.qkd.protocol.key_budget import abort_reason, expected_length, reason_to_abort
from qkd_gs.qkd.protocol.result import KeyResult
from qkd_gs.qkd.protocol.session_record import SessionRecord
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, key_blocks
from qkd_gs.qkd.sifting.error_rate import expected_qber
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import SiftedKey
from qkd_gs.qkd.sifting.terms import Terms


class GroundJoin(GroundSession):
    """One run that joins passes: `make_joined_key`, then `confirm`.

    Parameters
    ----------
    channel : Channel
        To the satellite's side.
    terms : Terms
    passes : sequence of KeptPass
        Their part in the record.
    record : SessionRecord
    **more
        As of `GroundSession`.
    """

    def __init__(
        self,
        channel: Channel,
        terms: Terms,
        passes: Sequence[KeptPass],
        pre_shared: Any,
        record: SessionRecord,
        **more: Any,
    ):
        self._passes = sorted(passes, key=lambda one: one.last_ns)
        session_ids = [one.session_id for one in self._passes]
        super().__init__(channel, terms, joined_session(session_ids), pre_shared, record, **more)
        self._joins = session_ids

    def make_joined_key(self) -> KeyResult:
        """Make the key: reconciliation, verification, privacy amplification.

        Store the result before calling `confirm`.

        Raises
        ------
        ProtocolError
            See `qkd_gs.qkd.link.faults`; no key.
        StationError
            The passes give no key together, or cannot be joined (any more); nothing was disclosed.
        """
        try:
            with self._link.ended_by_faults():
                return self._make_joined_key()
        finally:
            self._leakage.settle()

    def _make_joined_key(self) -> KeyResult:
        self._open()
        counts = counts_together(self._terms, self._record, self._passes)
        check_gain(self._terms, self._passes, counts, self._leakage.least_earlier_bits)
        blocks, qber, seed = key_blocks(counts.sifted_bits), expected_qber(counts), self._public_seed()
        reason = reason_to_abort(self._terms, counts, blocks, qber, self._leakage.least_earlier_bits)
        if reason:
            raise StationError(f'the passes give no key together: {reason}')
        digests, choices = [one.digest for one in self._passes], counts.joined.choices if counts.joined else 1
        request = messages.JoinRequest(digests=digests, choices=choices, qber=qber, seed=seed)
        self._reconciliation.begin(Kind.JOIN, request, counts)
        self._link.send_tag()
        self._link.receive(Kind.JOINED)  # now the satellite has taken its bits
        self._accept_tag()
        sifted = self._taken(counts, qber)
        return self._amplify(sifted, self._corrected(sifted, blocks, seed))

    def _taken(self, counts: KeyCounts, qber: float) -> SiftedKey:
        """The kept bits, which from now on are for this key and no other."""
        taken = self._record.take_kept(self._session_id, self._joins)
        bits = PackedBits.joined([one.bits for one in taken])
        return SiftedKey(
            bits=bits,
            measured=bits.copy(),
            basis=PackedBits.joined([one.basis for one in taken]),
            bins=[(0, len(bits))],
            window_bits=[],
            counts=counts,
            qber=qber,
        )


def counts_together(terms: Terms, record: SessionRecord, passes: Sequence[KeptPass]) -> KeyCounts:
    """Counts of kept passes together, with the number of passes that could have been chosen.

    Raises
    ------
    StationError
        They are further apart than the time for which bits are kept, or too many.
    """
    last_ns = max(one.last_ns for one in passes)
    choices = max(len(passes), record.announced_between(last_ns - terms.keep_ns, last_ns))
    return counts_of_joined(passes, terms.keep_ns, choices)


def check_gain(terms: Terms, passes: Sequence[KeptPass], counts: KeyCounts, disclosed_before: int = 0) -> None:
    """Check that passes give a key together, and a longer one than each alone, with error correction at its limit.

    Raises
    ------
    StationError
        They do not.
    """

    def bits(of: KeyCounts, before: int = 0) -> int:
        sizes = block_sizes(key_blocks(of.sifted_bits))
        return expected_length(terms, of, sizes, expected_qber(of), before)

    together, alone = bits(counts, disclosed_before), sum(bits(one.counts) for one in passes)
    if not together:
        sizes = block_sizes(key_blocks(counts.sifted_bits))
        reason = abort_reason(terms, counts, sizes, expected_qber(counts), disclosed_before)
        raise StationError(f'the passes give no key together: {reason}', hint='keep them until there are more')
    if len(passes) > 1 and together <= alone:
        raise StationError(
            f'the passes give about {together} bits together, and {alone} each alone',
            hint='leave out the one with most errors',
        )
