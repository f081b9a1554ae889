"""Units of aviation."""

FOOT_M = 0.3048
KNOT_M_S = 1852 / 3600
FOOT_MIN_M_S = FOOT_M / 60

HIGHEST_M, LOWEST_M = 30_000.0, -600.0  # altitudes beyond are nonsense
FASTEST_M_S = 700.0
STEEPEST_M_S = 200.0
