"""TouchDesigner: the text of an Execute DAT with `Start` and `Create` switched on, or of any DAT that runs first.

Looks for `.venv` in the project's folder. Output is shown in the Textport.
"""

import os
import sys

venv = os.path.join(project.folder, ".venv")  # noqa: F821 (TouchDesigner's)
version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
packages = os.path.join(venv, *(["Lib"] if os.name == "nt" else ["lib", version]), "site-packages")
if packages not in sys.path:
    sys.path.append(packages)

import rustimport  # noqa: E402

rustimport.embed(venv)


def onStart():  # noqa: N802 (TouchDesigner's)
    return


def onCreate():  # noqa: N802
    return
