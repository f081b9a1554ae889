"""Seeds of a benchmark, as the command line gives them."""

from __future__ import annotations

from qkd_gs.errors import StationError


def seed_numbers(seeds: str) -> list[int]:
    """Seeds of a list as ``1-20`` or ``1,4,7``.

    Raises
    ------
    StationError
        It is none, or empty.
    """
    numbers: list[int] = []
    try:
        for part in seeds.split(','):
            first, _, last = part.partition('-')
            numbers += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise StationError(f'{seeds!r} is no list of seeds', where='--seeds', hint='as 1-20 or 1,4,7') from error
    if not numbers:
        raise StationError(f'{seeds!r} has no seed in it', where='--seeds', hint='as 1-20 or 1,4,7')
    return numbers
