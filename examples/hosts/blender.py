"""Blender: a file in `scripts/startup`, or a text block that is run (or registered) when a file is opened.

Looks for `.venv` next to the .blend file, then in the home folder. Output is shown in the terminal that Blender was
started from, or in its system console.
"""

import os
import sys

import bpy

version = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@bpy.app.handlers.persistent
def switch_on(*_):
    """Called for each file that is opened, because startup scripts do not see the file's path."""
    folder = os.path.dirname(bpy.data.filepath)
    # A file that was never saved has no folder.
    places = [os.path.join(folder, ".venv")] if folder else []
    places.append(os.path.expanduser("~/.venv"))
    venv = next((place for place in places if os.path.isfile(os.path.join(place, "pyvenv.cfg"))), None)
    if venv is None:
        return
    packages = os.path.join(venv, *(["Lib"] if os.name == "nt" else ["lib", version]), "site-packages")
    if packages not in sys.path:
        sys.path.append(packages)
    import rustimport

    rustimport.embed(venv)


def register():
    bpy.app.handlers.load_post.append(switch_on)
    # At startup, access to the data is restricted.
    if hasattr(bpy.data, "filepath"):
        switch_on()


def unregister():
    if switch_on in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(switch_on)
    if "rustimport" in sys.modules:
        sys.modules["rustimport"].unembed()


if __name__ == "__main__":
    register()
