"""``import rustimport.import_hook`` switches the import hook on."""

import rustimport

from . import _report

rustimport.install()
# Activated this way, log records go where `logging.basicConfig` sends them.
_report.configure(propagate=True)
