# SPDX-License-Identifier: MIT
"""Another name for the package snacgi: the same objects, so that handler files
written for snaxum run unchanged."""

import sys
from typing import TYPE_CHECKING

import snacgi
from snacgi import __all__ as __all__
from snacgi import exceptions as exceptions

if TYPE_CHECKING:
    from snacgi import *  # noqa: F401,F403

# g and its like come when they are asked for, as in snacgi itself.
__getattr__ = snacgi.__getattr__
globals().update((name, vars(snacgi)[name]) for name in __all__ if name in vars(snacgi))

# One module under two names, so that its classes are the same whatever the import says.
sys.modules[__name__ + ".exceptions"] = exceptions
