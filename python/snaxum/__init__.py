# SPDX-License-Identifier: MIT
"""Another name for the package snacgi: the same objects, so that handler files
written for snaxum run unchanged."""

import sys

from snacgi import *  # noqa: F401,F403
from snacgi import __all__ as __all__
from snacgi import exceptions as exceptions

# One module under two names, so that its classes are the same whatever the import says.
sys.modules[__name__ + ".exceptions"] = exceptions
