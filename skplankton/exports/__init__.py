"""Tables of abundance for others: CSV for spreadsheets, Darwin Core for OBIS."""

from skplankton.exports._archive import write_darwin_core
from skplankton.exports._csv import read_csv, write_csv
from skplankton.exports._darwin_core import DarwinCore, to_darwin_core

__all__ = [
    "DarwinCore",
    "read_csv",
    "to_darwin_core",
    "write_csv",
    "write_darwin_core",
]
