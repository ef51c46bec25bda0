"""Blender: a file in `scripts/startup`, or a text block that is run (or registered) when a file is opened.

Looks for `.venv` beside the .blend file, then in the home folder. Output is shown in the terminal that Blender was
started from, or in its system console.
"""

import os
import sys

import bpy

version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
places = [os.path.join(os.path.dirname(bpy.data.filepath), ".venv"), os.path.expanduser("~/.venv")]
venv = next((place for place in places if os.path.isfile(os.path.join(place, "pyvenv.cfg"))), places[0])
packages = os.path.join(venv, *(["Lib"] if os.name == "nt" else ["lib", version]), "site-packages")


def register():
    if packages not in sys.path:
        sys.path.append(packages)
    import rustimport

    rustimport.embed(venv)


def unregister():
    import rustimport

    rustimport.unembed()


if __name__ == "__main__":
    register()
