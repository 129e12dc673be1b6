"""Units as astropy has them."""

import pandas as pd
import pytest
from astropy import units as u

import efd


def frame() -> pd.DataFrame:
    index = pd.DatetimeIndex(["2026-11-30T12:00:00"], tz="UTC")
    made = pd.DataFrame({"speed": [2.0], "name": ["x"], "odd": [1]}, index=index)
    made.attrs = {
        "units": {"speed": "m/s", "name": "unitless", "odd": "furlong_per_year"},
        "descriptions": {"speed": "How fast."},
    }
    return made


def test_units_of_interfaces_are_units_of_astropy():
    assert efd.unit("deg_C") == u.deg_C
    assert efd.unit("second") == u.s
    for none in ("", "unitless", "dimensionless"):
        assert efd.unit(none) == u.dimensionless_unscaled


def test_a_column_is_a_quantity():
    assert efd.quantity(frame(), "speed").to(u.km / u.h)[0].value == pytest.approx(7.2)
    assert str(efd.quantity(frame(), "odd").unit) == "furlong_per_year"
    with pytest.raises(KeyError):
        efd.quantity(frame(), "slow")


def test_a_frame_is_a_table_of_quantities():
    table = efd.qtable(frame())
    assert table["time"].isot.tolist() == ["2026-11-30T12:00:00.000"]
    assert table["speed"].unit == u.m / u.s
    assert table["speed"].info.description == "How fast."
    assert table["name"].tolist() == ["x"]
    assert efd.qtable(frame()[["name"]]).colnames == ["time", "name"]
