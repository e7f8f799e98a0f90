# SPDX-License-Identifier: MIT
"""Another name for the package snacgi: the same objects, so that handler files
written for snaxum run unchanged."""

from snacgi import *  # noqa: F401,F403
from snacgi import __all__ as __all__
from snacgi import exceptions as exceptions
