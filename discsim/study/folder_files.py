"""Names of the files that commands write into a folder and look for there."""

from __future__ import annotations

RESULT_FILE = "result.nc"  # of a run
RANKS_LOG = "ranks.log"  # what the processes of a solve wrote that crashed
PAGE_FILE = "report.html"
