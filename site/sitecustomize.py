# <rustimport> Written by `python -m rustimport site install`; `site uninstall` removes it.
{gate}

RustimportGate.put()
# </rustimport>
