"""``import rustimport.import_hook`` turns the import hook on."""

import rustimport

from . import _settings

rustimport.install()
# Activated this way, log records go where `logging.basicConfig` sends them.
_settings.log_propagates = True

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rustimport import load_ipython_extension as load_ipython_extension
    from rustimport import unload_ipython_extension as unload_ipython_extension
else:

    def __getattr__(name):
        # For `%load_ext rustimport.import_hook`.
        if name in ("load_ipython_extension", "unload_ipython_extension"):
            return getattr(rustimport, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
