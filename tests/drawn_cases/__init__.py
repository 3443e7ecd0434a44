"""Small networks drawn by kind, and what becomes of each: input type × activation × operator × sizes × layout × output."""

from drawn_cases.choice import cases
from drawn_cases.frames import Case, Kind, build

__all__ = ["Case", "Kind", "build", "cases"]
