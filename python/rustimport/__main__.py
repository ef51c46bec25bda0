"""``python -m rustimport``"""

import sys

from ._cli import main

sys.exit(main())
