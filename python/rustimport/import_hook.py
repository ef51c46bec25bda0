"""``import rustimport.import_hook`` switches the import hook on."""

import rustimport

from . import _hook

rustimport.install()
# Activated this way, log records go where `logging.basicConfig` sends them.
_hook.log_propagates = True

# For `%load_ext rustimport.import_hook`.
load_ipython_extension = rustimport.load_ipython_extension
unload_ipython_extension = rustimport.unload_ipython_extension
