# SPDX-License-Identifier: MIT
"""An analysis service with pandas and numpy: a CSV file comes in, statistics go out.

    snacgi dev analysis.py      serve while writing; README.md has the questions to ask

Frames and arrays are results as they are. NaN is not JSON: nulls() says what becomes of it."""

import io
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from snacgi import Request, abort, errorhandler, post, request

Array = npt.NDArray[np.float64]
STATISTICS = ("count", "max", "mean", "median", "min", "std", "sum")
SUMMARY = ["count", "mean", "std", "min", "25%", "50%", "75%", "max", "unique", "top"]
MOST_COLUMNS, MOST_BINS, MOST_ROUNDS = 200, 1000, 100_000


class Invalid(Exception):
    """What is wrong with the question."""


@errorhandler(Invalid)
def invalid(error: Invalid) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 422


# ---- what clients send ----------------------------------------------------------------


def table() -> pd.DataFrame:
    """The CSV: the form's file, or the body itself. A file above limits.memory_body is read
    from disk. What is infinite counts as missing."""
    if request.mimetype == "multipart/form-data":
        if "file" not in request.files:
            raise Invalid("the form has no file named 'file'")
        source = request.files["file"].stream
    else:
        source = io.BytesIO(request.data)
    try:
        frame = pd.read_csv(source)
    except (ValueError, pd.errors.ParserError) as error:  # nothing there, not UTF-8, ragged lines
        abort(400, f"this is no CSV file: {str(error).strip()}")
    if len(frame.columns) > MOST_COLUMNS:
        raise Invalid(f"there are {len(frame.columns)} columns: at most {MOST_COLUMNS}")
    return frame.replace([np.inf, -np.inf], np.nan)


def column_name(frame: pd.DataFrame, argument: str, numeric: bool = True) -> str:
    name: str = request.args.get(argument, "")
    if name not in frame.columns:
        raise Invalid(f"{argument} must be a column: {', '.join(map(str, frame.columns))}")
    if numeric and not pd.api.types.is_numeric_dtype(frame[name]):
        raise Invalid(f"column {name} does not hold numbers")
    return name


def column(frame: pd.DataFrame, argument: str) -> Array:
    """The numbers of a column that are there."""
    values = frame[column_name(frame, argument)].to_numpy(dtype=float)
    values = values[~np.isnan(values)]
    if values.size == 0:
        raise Invalid(f"column {request.args[argument]} is empty")
    out: Array = values
    return out


def number(argument: str, default: int, largest: int) -> int:
    text = request.args.get(argument, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= largest):
        raise Invalid(f"{argument} must be a number from 1 to {largest}")
    return int(text)


def nulls(frame: pd.DataFrame) -> pd.DataFrame:
    """NaN, infinities and missing values as null. Without this a result that holds one is a
    500, and the log names the place: none slips out unseen."""
    frame = frame.replace([np.inf, -np.inf], np.nan).astype(object)
    return frame.where(frame.notna(), None)


# ---- the endpoints ----------------------------------------------------------------------


@post("/summary")
def summary() -> pd.DataFrame:
    """A row for each column: what it holds, how much is missing, the usual statistics."""
    frame = table()
    with np.errstate(over="ignore"):  # a mean that is too large for a float is null
        about = frame.describe(include="all").T.reindex(columns=SUMMARY)
    about.insert(0, "missing", frame.isna().sum())
    about.insert(0, "type", frame.dtypes.astype(str))
    return nulls(about.rename_axis("column").reset_index())


@post("/groups")
def groups() -> pd.DataFrame:
    """?by=COLUMN&value=COLUMN&how=mean: one row for each value of `by`."""
    frame = table()
    by, value, how = column_name(frame, "by", numeric=False), column_name(frame, "value"), request.args.get("how", "mean")
    if how not in STATISTICS or by == value:
        raise Invalid(f"how must be one of {', '.join(STATISTICS)}; by and value must differ")
    return nulls(frame.groupby(by, dropna=False)[value].agg(how).reset_index())


@post("/histogram")
def histogram() -> dict[str, Any]:
    """?column=COLUMN&bins=10"""
    counts, edges = np.histogram(column(table(), "column"), bins=number("bins", 10, MOST_BINS))
    return {"counts": counts, "edges": edges}


def bootstrap(values: Array, rounds: int) -> Array:
    """The mean's 95 percent interval by resampling. Seconds of work: runs in a pool process,
    to which the array travels as bytes, not as text."""
    dice = np.random.default_rng(1)
    means = [dice.choice(values, values.size).mean() for _ in range(rounds)]
    out: Array = np.quantile(means, [0.025, 0.975])
    return out


@post("/confidence", use_process_pool=True, timeout=30)
def confidence(request: Request, pool: Executor) -> dict[str, Any]:
    """?column=COLUMN&rounds=1000"""
    values = column(table(), "column")
    low, high = pool.submit(bootstrap, values, number("rounds", 1000, MOST_ROUNDS)).result()
    return {"mean": values.mean(), "low": low, "high": high, "count": values.size}


# ---- the hot one ------------------------------------------------------------------------

MOST_VALUES, LARGEST = 10_000, 1e18


@post("/smooth")
@post("/reference/smooth")
def smooth(request: Request) -> Array:
    """{"values": [numbers], "alpha": 0.2} -> their exponentially weighted means.

    Dashboards ask this thousands of times a second, so smooth.c has it again, under the same
    rule: where that module is loaded, C answers /smooth, and this is the reference."""
    body = request.body
    if not isinstance(body, dict) or not isinstance(body.get("values"), list) or not 1 <= len(body["values"]) <= MOST_VALUES:
        raise Invalid(f"values must be a list of 1 to {MOST_VALUES} numbers")
    if not all(type(x) in (int, float) and abs(x) <= LARGEST for x in body["values"]):
        raise Invalid("values must be numbers up to 1e18")
    alpha = body.get("alpha", 0.5)
    if type(alpha) not in (int, float) or not 0 < alpha <= 1:
        raise Invalid("alpha must be a number above 0, up to 1")
    out: Array = pd.Series(body["values"], dtype=float).ewm(alpha=alpha, adjust=False).mean().to_numpy()
    return out
