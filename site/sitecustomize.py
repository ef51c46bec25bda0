# <rustimport> Written by `python -m rustimport site install`; `site uninstall` removes it.
try:
    import rustimport
except ImportError:
    pass
else:
    rustimport.install({arguments})
# </rustimport>
