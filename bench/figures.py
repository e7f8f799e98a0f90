# SPDX-License-Identifier: MIT
"""Measured values with their medians and targets: what every part of the
benchmark that is not a plain row of load hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any, Optional


@dataclass
class Figure:
    name: str
    values: list[float] = field(default_factory=list)
    unit: str = ""
    sense: str = ""  # "<=" or ">="; "": reported only
    limit: Optional[float] = None
    note: str = ""

    @property
    def middle(self) -> float:
        return median(self.values)

    @property
    def met(self) -> Optional[bool]:
        if self.limit is None:
            return None
        return self.middle <= self.limit if self.sense == "<=" else self.middle >= self.limit

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "median": self.middle, "lowest": min(self.values), "highest": max(self.values), "unit": self.unit,
                "target": f"{self.sense} {self.limit:g}" if self.limit is not None else None, "met": self.met, "note": self.note,
                "values": self.values}

    def line(self) -> str:
        verdict = "" if self.met is None else f"  {self.sense} {self.limit:g} " + ("met" if self.met else "MISSED")
        return (f"{self.name:66} {self.middle:10.3g} {min(self.values):9.3g} {max(self.values):9.3g} {self.unit:6}{verdict}"
                + (f"  ({self.note})" if self.note else ""))


def table(title: str, figures: list[Figure]) -> str:
    if not figures:
        return ""
    return "\n".join([f"{title:66} {'median':>10} {'lowest':>9} {'highest':>9}", *(f.line() for f in figures if f.values), ""]) + "\n"
