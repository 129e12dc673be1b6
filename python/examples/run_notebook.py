"""Runs the notebook from top to bottom, as the tests do; fails when a cell does.

usage: EFD_ADDRESS=http://localhost:9180 python examples/run_notebook.py
"""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(Path(__file__).with_name("first_look.ipynb"), as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
empty = [cell.id for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is None]
if empty:
    raise SystemExit(f"cells {empty} did not run")
