"""``import rustimport.import_hook`` switches the import hook on."""

import rustimport

from . import _hook

rustimport.install()
# Activated this way, log records go where `logging.basicConfig` sends them.
_hook.log_propagates = True
