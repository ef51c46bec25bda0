"""Written by `python -m rustimport site install`, together with rustimport_hook.start; `site uninstall` removes both."""


def install() -> None:
    try:
        import rustimport
    except ImportError:
        return
    rustimport.install({arguments})
