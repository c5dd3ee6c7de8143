"""Hold results against each other: verdicts with error bars, and claims.

The room bears the name of its verb, so the module itself can be called: ``sdespec.compare(...)`` works whichever of
the two was loaded first.
"""

import sys
from types import ModuleType

from sdespec.compare.verdicts import compare

__all__ = ["compare"]


class _Verb(ModuleType):
    """A module that is called like the verb it holds."""

    __call__ = staticmethod(compare)


sys.modules[__name__].__class__ = _Verb
