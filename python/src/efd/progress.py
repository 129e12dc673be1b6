"""A progress bar for queries that last."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_DELAY = 1.5
"""Seconds that a query must last before its bar is shown."""


def wanted(choice: bool | None) -> bool:
    """Whether to show bars: as was chosen, else where a person looks, at a terminal or in a notebook."""
    return choice if choice is not None else sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


class Progress:
    """How far an answer has come, by the times of its rows.

    Parameters
    ----------
    start, end : `int`
        The range that was asked for, in nanoseconds of UTC.
    bar : tqdm bar or `None`
        What shows it.
    """

    def __init__(self, start: int, end: int, bar: Any | None) -> None:
        self._start, self._end, self._bar = start, end, bar
        self._rows = 0

    def took(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch, whose last time is how far the answer has come."""
        if self._bar is None or batch.num_rows == 0:
            return
        self._rows += batch.num_rows
        last = batch.column(0)[batch.num_rows - 1].value
        covered = (last - self._start) / max(self._end - self._start, 1)
        self._bar.set_postfix_str(f"{self._rows:,} rows", refresh=False)
        self._bar.update(max(round(100 * min(covered, 1.0), 1) - self._bar.n, 0))


@contextlib.contextmanager
def progress(label: str, start: int, end: int, choice: bool | None) -> Iterator[Progress]:
    """Show how far a query is while it lasts.

    Parameters
    ----------
    label : `str`
        What is being read.
    start, end : `int`
        The range that was asked for, in nanoseconds of UTC.
    choice : `bool` or `None`
        Whether to show it; `None`: at a terminal or in a notebook.

    Yields
    ------
    progress : `Progress`
        To be told of each batch.
    """
    if not wanted(choice):
        yield Progress(start, end, None)
        return
    from tqdm.auto import tqdm

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=100, desc=label, bar_format=form, delay=_DELAY, leave=False) as bar:
        yield Progress(start, end, bar)
