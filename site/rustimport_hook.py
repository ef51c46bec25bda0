"""Written by `python -m rustimport site install`, together with a file that calls `install` when Python starts;
`site uninstall` removes both."""


{gate}

def install() -> None:
    RustimportGate.put()
