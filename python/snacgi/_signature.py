# SPDX-License-Identifier: MIT
"""What a handler's parameters ask for: the request, the pool, values of the path. Decided once,
when the handler is registered; what nobody would fill is said there. Private."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Collection, Mapping, Optional

import _snacgi

from ._params import Marker

if TYPE_CHECKING:
    from ._typed import Plan


@dataclass(frozen=True)
class Passing:
    """How the handler is called."""

    request: bool = True
    request_name: str = ""  #: its parameter, when values of the path stand before it
    values: tuple[str, ...] = ()  #: variables of the rule that it has parameters for
    all_values: bool = False
    typed: Optional[Plan] = None  #: of a handler whose parameters are to be converted


#: Annotations that need no converting, by the converter of the rule's variable.
_SAME = {"string": (str, "str"), "any": (str, "str"), "path": (str, "str"), "int": (int, "int"), "float": (float, "float")}


def _has_types(parameters: list[inspect.Parameter], rule: str, own: Collection[str]) -> bool:
    """Whether an annotation may ask for converting; without one nothing of it is imported."""
    converters: dict[str, str] = {}
    for p in parameters:
        if isinstance(p.default, Marker):
            return True
        if (p.annotation is p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
                or p.name in ("request", "req", "pool", "executor") or p.name in own or p.annotation in (_snacgi.Request, "Request")):
            continue
        converters = converters or {variable[0]: variable[1] for variable in _snacgi.check_rule(rule)}
        if p.annotation not in _SAME.get(converters.get(p.name, ""), ()):
            return True
    return False


def _no_pool(func_name: str, first: str) -> TypeError:
    short = func_name.rpartition(".")[2]
    return TypeError(
        f"{func_name} has use_process_pool=True and so must take the pool as its second"
        f" parameter: def {short}({first}, pool)"
    )


def passing_of(func: Any, name: str, pool: bool, variables: list[str], rule: str,
               defaults: Mapping[str, Any], own: Collection[str]) -> Passing:
    """`own`: values of the path that the route itself makes, by defaults or its own converters,
    and that no annotation converts. TypeError: a parameter that nobody fills, or no place for
    the pool."""
    variables = [*variables, *(one for one in defaults if one not in variables)]
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except (TypeError, ValueError):
        return Passing()  # a C function that tells nothing about itself
    if _has_types(parameters, rule, own):
        from ._typed import plan_of

        plan = plan_of(func, name, pool, rule, parameters, own)
        if plan is not None:
            return Passing(typed=plan)
    named = [p for p in parameters
             if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name in variables]
    positional = [p for p in parameters
                  if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p not in named]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if pool and len(positional) < 2 and not any_number:
        raise _no_pool(name, positional[0].name if positional else "request")
    need = 2 if pool else 1
    keyword = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p not in named]
    _check_filled(name, need, positional, keyword)
    taken = positional[:need]
    after = bool(named and taken) and parameters.index(named[0]) < parameters.index(taken[-1])
    if after and (pool or any_number or positional[0].kind is inspect.Parameter.POSITIONAL_ONLY):
        raise TypeError(f"{name}: put the request{' and the pool' if pool else ''} before the values of the path")
    everything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    values = tuple(variables) if everything else tuple(v for v in variables if any(p.name == v for p in named))
    return Passing(
        request=bool(positional) or any_number,
        request_name=positional[0].name if after else "",
        values=values,
        all_values=bool(values) and len(values) == len(variables),
    )


def _check_filled(name: str, need: int, positional: list[inspect.Parameter], keyword: list[inspect.Parameter]) -> None:
    required = [p for p in positional if p.default is p.empty]
    if len(required) > need:
        extra = required[need].name
        if extra in ("pool", "executor"):
            mend = "add use_process_pool=True to @route"
        else:
            mend = "no variable of the rule has that name; rename it, or give it a default"
        raise TypeError(f"{name} has a parameter {extra!r} that nobody fills: {mend}")
    for p in keyword:
        if p.default is p.empty:
            raise TypeError(f"{name} has a parameter {p.name!r} that nobody fills: give it a default")
