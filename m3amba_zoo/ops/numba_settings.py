"""Keeps numba from the settings in a file ``.numba_config.yaml`` of the working directory.

A stranger's folder of rasters may hold one: it can name a folder of compiled functions, which numba
unpickles. What environment variables say (``NUMBA_*``) holds.
"""

from __future__ import annotations

from numba.core import config

config._config_fname = ""  # numba reads the file when it is imported, and again at each compilation
config.reload_config()
