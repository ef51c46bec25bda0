"""These tests run on Windows, or under Wine: `make test-windows WINDOWS=life`."""

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["test_*.py"]
