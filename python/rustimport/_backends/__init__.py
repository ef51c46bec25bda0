"""Plugins for build backends, which compile the sources of a package into its wheel: `hatch.py` and `setuptools.py`.
Editable installations are left to the import hook."""
