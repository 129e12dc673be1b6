"""Units of columns as objects of astropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import QTable
    from astropy.units import Quantity, UnitBase

_NONE = ("", "unitless", "dimensionless")


def unit(text: str) -> UnitBase:
    """The unit that an interface names.

    Parameters
    ----------
    text : `str`
        Such as ``m/s``; ``unitless``, ``dimensionless`` and nothing are no unit.

    Returns
    -------
    unit : `astropy.units.UnitBase`
        An `~astropy.units.UnrecognizedUnit` of this name where astropy does not know it.

    Raises
    ------
    ImportError
        When astropy is not installed.
    """
    from astropy import units

    return units.dimensionless_unscaled if text in _NONE else units.Unit(text, parse_strict="silent")


def quantity(frame: pd.DataFrame, column: str) -> Quantity:
    """A column of numbers with its unit.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        As the client's methods give it.
    column : `str`
        Name of a column of numbers.

    Returns
    -------
    quantity : `astropy.units.Quantity`
        Its values.

    Raises
    ------
    KeyError
        When the frame has no such column, or says nothing of units.
    """
    from astropy import units

    return units.Quantity(frame[column].to_numpy(), unit(frame.attrs["units"][column]))


def qtable(frame: pd.DataFrame) -> QTable:
    """All of a frame as a table of astropy.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        As the client's methods give it.

    Returns
    -------
    table : `astropy.table.QTable`
        Times in the column ``time``; columns of numbers have their unit, all have their description.
    """
    import numpy as np
    from astropy.table import QTable
    from astropy.time import Time

    index: Any = frame.index
    columns: dict[str, Any] = {"time": Time(index.tz_localize(None).to_numpy(), format="datetime64", scale="utc")}
    for name in frame.columns:
        numeric = np.issubdtype(frame[name].to_numpy().dtype, np.number)
        columns[name] = quantity(frame, name) if numeric else frame[name].to_numpy()
    table = QTable(columns)
    # A frame that was cut to some columns still tells of all.
    descriptions = frame.attrs.get("descriptions", {})
    for name in frame.columns:
        table[name].info.description = descriptions.get(name, "")
    return table
