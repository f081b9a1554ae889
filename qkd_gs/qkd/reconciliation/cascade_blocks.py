"""Bob's state in Cascade: blocks whose parities differ, and the next queries.

In his trees (`qkd_gs.qkd.reconciliation.parity`) an entry has three bits: his own parity, whether Alice's is known, and
hers.  Known nodes with both children unknown are leaves; a leaf whose parities differ has an odd number of errors and
is open: it is bisected until one position is left, which is then an error.  Correcting it changes the parities of all
nodes above that position in every tree, and so opens (or closes) other leaves: the cascade.
"""

from __future__ import annotations

from qkd_gs.jit import njit
from qkd_gs.qkd.reconciliation.parity_query import NODE_MASK, PASS_SHIFT, SUBSETS
from qkd_gs.qkd.reconciliation.permutation import bit_at, position_of

# Entries: 1 Bob's parity, 2 Alice's parity is known, 4 Alice's parity, 8 seen (inside `collect` only).
# Tree 0 holds a random subset of the positions, the others all of them.


@njit(cache=True)
def _differs(entry):  # type: ignore[no-untyped-def]
    return entry & 2 != 0 and (entry ^ (entry >> 2)) & 1 != 0


@njit(cache=True)
def collect(trees, size, opened, counts):  # type: ignore[no-untyped-def]
    """Remove closed, bisected and repeated leaves from the lists of open leaves; return the number left."""
    total = 0
    for p in range(trees.shape[0]):
        tree = trees[p]
        kept = 0
        for i in range(counts[p]):
            node = opened[p, i]
            entry = tree[node]
            if not _differs(entry) or entry & 8:
                continue
            if node < size and tree[2 * node] & 2:
                continue
            tree[node] = entry | 8
            opened[p, kept] = node
            kept += 1
        for i in range(kept):
            tree[opened[p, i]] &= 7
        counts[p] = kept
        total += kept
    return total


@njit(cache=True)
def left_half_queries(size, n, opened, counts, numbers, depth, out):  # type: ignore[no-untyped-def]
    """List the left halves of all open leaves and, recursively to `depth`, of their halves; return their number.

    Halves that begin behind the last bit are empty and need no query.
    """
    written = 0
    for p in range(len(counts)):
        for i in range(counts[p]):
            first = opened[p, i]
            width = 1
            for _ in range(depth):
                if first >= size:
                    break
                for node in range(first, first + width):
                    if _begin(2 * node, size) < n:
                        out[written] = (numbers[p] << PASS_SHIFT) | (2 * node)
                        written += 1
                first *= 2
                width *= 2
    return written


@njit(cache=True)
def _begin(node, size):  # type: ignore[no-untyped-def]
    """First position under a node."""
    while node < size:
        node *= 2
    return node - size


@njit(cache=True)
def absorb(trees, opened, counts, asked, answers):  # type: ignore[no-untyped-def]
    """Store Alice's parities; if the parent is known, the other half follows."""
    for i in range(len(asked)):
        number = asked[i] >> PASS_SHIFT
        p = 0 if number >= SUBSETS else number + 1
        node = asked[i] & NODE_MASK
        tree = trees[p]
        tree[node] = (tree[node] & 1) | 2 | (answers[i] << 2)
        if _differs(tree[node]):
            opened[p, counts[p]] = node
            counts[p] += 1
        whole = tree[node >> 1]
        if whole & 2:
            other = node ^ 1
            tree[other] = (tree[other] & 1) | 2 | ((((whole >> 2) & 1) ^ answers[i]) << 2)
            if _differs(tree[other]):
                opened[p, counts[p]] = other
                counts[p] += 1


@njit(cache=True)
def correct(bits, corrected, trees, size, shuffles, member, opened, counts):  # type: ignore[no-untyped-def]
    """Flip the bit of every open single position and update all trees; return the number of flips.

    Correct parities prove each error once.  If a position would be flipped back, or has no bit, Alice's answers are
    contradictory: -1 is returned.
    """
    passes = trees.shape[0]
    flips = 0
    for p in range(passes):
        i = 0
        while i < counts[p]:
            node = opened[p, i]
            i += 1
            if node < size or not _differs(trees[p, node]):
                continue
            if node - size >= len(bits):
                return -1
            x = bit_at(node - size, len(bits), shuffles[p])
            if corrected[x]:
                return -1
            bits[x] ^= 1
            corrected[x] = 1
            flips += 1
            for q in range(passes):
                if q == 0 and member[x] == 0:
                    continue
                _flip(trees[q], size + position_of(x, len(bits), shuffles[q]), opened[q], counts[q : q + 1])
    return flips


@njit(cache=True)
def _flip(tree, node, opened, count):  # type: ignore[no-untyped-def]
    settled = False
    while node:
        entry = tree[node] ^ 1
        tree[node] = entry
        if not settled and entry & 2:
            settled = True  # this is the leaf; nodes above it are not leaves
            if _differs(entry):
                opened[count[0]] = node
                count[0] += 1
        node >>= 1
