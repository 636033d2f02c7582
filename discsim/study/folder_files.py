"""Names of the files that commands write into a folder and look for there."""

from __future__ import annotations

RESULT_FILE = "result.nc"  # of a run
PAGE_FILE = "report.html"
