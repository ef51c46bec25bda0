class RustimportGate:
    """Installs rustimport's import hook once something is imported that is not part of Python. Until then, an
    interpreter that starts pays nothing for it."""

    is_rustimport_gate = True
    # What every start looks for; the last is Ubuntu's and Debian's.
    ignored = ("rustimport", "sitecustomize", "usercustomize", "apport_python_hook")

    def __init__(self):
        import _thread
        import os
        import sys
        import time

        self.since = time.time()
        self.path = sys.path[:]
        self.is_open = False
        # The finders that the import which opens it would not ask.
        self.passed = []
        self.lock = _thread.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.restart)

    def restart(self):
        # In a forked child, the thread that was opening it does not exist.
        self.lock._at_fork_reinit()
        self.is_open = False

    def find_spec(self, name, path=None, target=None):
        import sys

        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in self.ignored:
            return None
        self.open()
        for finder in self.passed:
            find = getattr(finder, "find_spec", None) if finder in sys.meta_path else None
            try:
                spec = find and find(name, path, target)
            except ImportError as error:
                if not hasattr(error, "hint"):
                    raise
                # Where in rustimport it was raised tells the user nothing.
                raise error.with_traceback(None) from error.__cause__
            if spec is not None:
                return spec
        return None

    def open(self):
        import _imp

        # importlib holds its lock while it calls finders. Another thread may wait for it with a module's lock.
        depth = 0
        while _imp.lock_held():
            try:
                _imp.release_lock()
            except RuntimeError:
                break
            depth += 1
        try:
            with self.lock:
                if not self.is_open:
                    self.is_open = True
                    self.install()
        finally:
            for _ in range(depth):
                _imp.acquire_lock()

    def install(self):
        import os
        import sys

        # A script of this name, in the folder that came first on the path since, would run instead of the package.
        first = sys.path[0] if sys.path and isinstance(sys.path[0], str) else ""
        before = sys.meta_path[:]
        files = ("rustimport.py", os.path.join("rustimport", "__init__.py"))
        is_shadowed = first not in self.path and any(os.path.exists(os.path.join(first, file)) for file in files)
        try:
            if not is_shadowed:
                import rustimport

                # If the package was removed, its empty folder may be left.
                if hasattr(rustimport, "install"):
                    rustimport.install({arguments})
        except ImportError:
            # The package was removed.
            pass
        except Exception as error:
            # No import fails because of this.
            print(f"rustimport: the import hook could not be installed: {error!r}", file=sys.stderr)
        finally:
            finders = sys.meta_path
            place = end = finders.index(self) if self in finders else len(finders)
            if self in finders:
                finders.remove(self)
            # It passes over the finder that takes this one's place. From Python 3.14 on, it goes through a copy of the
            # list, so over all new ones: they are asked in the order of the list, where others may be between them.
            if sys.version_info < (3, 14):
                end += 1
            else:
                end = max([index + 1 for index, finder in enumerate(finders) if finder not in before], default=0)
            self.passed = finders[place:end]

    @classmethod
    def put(cls):
        import sys
        from _frozen_importlib_external import PathFinder

        path = sys.meta_path
        # A second one replaces the first, as a second `install` does.
        path[:] = [finder for finder in path if not hasattr(finder, "is_rustimport_gate")]
        path.insert(path.index(PathFinder) if PathFinder in path else len(path), cls())
