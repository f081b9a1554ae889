"""The report of a session: one self-contained page and its figures."""

from qkd_gs.report.page import write_report

__all__ = ['write_report']
