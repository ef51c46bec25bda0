class RustimportGate:
    """Installs rustimport's import hook once something is imported that is not part of Python. Until then, an
    interpreter that starts pays nothing for it."""

    is_rustimport_gate = True
    # What every start looks for; the last is Ubuntu's and Debian's.
    ignored = ("rustimport", "sitecustomize", "usercustomize", "apport_python_hook")

    def __init__(self):
        import _thread
        import os
        import time

        self.since = time.time()
        self.is_open = False
        self.lock = _thread.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.lock._at_fork_reinit)

    def find_spec(self, name, path=None, target=None):
        import sys

        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in self.ignored:
            return None
        place = sys.meta_path.index(self) if self in sys.meta_path else None
        self.open()
        # The finder that takes this one's place would be passed over by the import that is going on.
        finder = None if place is None else sys.meta_path[place]
        try:
            return finder and finder.find_spec(name, path, target)
        except ImportError as error:
            if not hasattr(error, "hint"):
                raise
            # Where in rustimport it was raised tells the user nothing.
            raise error.with_traceback(None) from error.__cause__

    def open(self):
        import sys

        with self.lock:
            if self.is_open:
                return
            self.is_open = True
            try:
                import rustimport

                rustimport.install({arguments})
            except ImportError:
                # The package was removed.
                pass
            except Exception as error:
                # Nobody's import fails for this.
                print(f"rustimport: the import hook could not be installed: {error!r}", file=sys.stderr)
            finally:
                if self in sys.meta_path:
                    sys.meta_path.remove(self)

    @classmethod
    def put(cls):
        import sys
        from _frozen_importlib_external import PathFinder

        path = sys.meta_path
        path.insert(path.index(PathFinder) if PathFinder in path else len(path), cls())
