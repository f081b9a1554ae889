"""Numbers as text: thin spaces between thousands, a true minus, a dash for what is not known."""

from __future__ import annotations

MINUS, NONE, THIN, HARD = '−', '–', '\u2009', '\u00a0'  # HARD: a space at which no line breaks
_RAISED = str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹')


def shown(value: float | None, digits: int, factor: float = 1.0) -> str:
    """A figure with so many decimals; a dash if there is none."""
    if value is None:
        return NONE
    rounded = round(value * factor, digits) + 0.0  # no minus before a zero
    return f'{rounded:,.{digits}f}'.replace(',', THIN).replace('-', MINUS)


def signed(value: float, digits: int = 0) -> str:
    """A change, with its sign."""
    text = shown(value, digits)
    return f'+{text}' if value > 0 else text


def scientific(value: float | None) -> str:
    """A small probability."""
    return NONE if value is None else _power(value, 1) if value else '0'


def _power(value: float, digits: int) -> str:
    mantissa, exponent = f'{value:.{digits}e}'.split('e')
    raised = f'10{str(int(exponent)).translate(_RAISED)}'
    if float(mantissa) == 1:
        return raised
    return f'{mantissa}{THIN}×{THIN}{raised}'.replace('-', MINUS)


def general(value: float | None) -> str:
    """Any number, four significant digits."""
    if value is None:
        return NONE
    if value and abs(value) < 1e-3:
        return _power(value, 3)
    return shown(value, 0) if abs(value) >= 1000 else f'{value:.4g}'.replace('-', MINUS)
