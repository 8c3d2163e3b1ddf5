"""How long browser tests wait, in milliseconds."""

LIMIT_MS = 180_000  # a first page loads torch and runs a network, on whatever machine this is
SETTLE_MS = 60_000
EXPECT_MS = 20_000  # a run of the page takes a second or two where two cores draw and compute
