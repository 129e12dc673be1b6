"""Reads Arrow and Parquet files as others do, with pyarrow, and prints a line of JSON for each: what they say of themselves, and their rows."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def texts(metadata):
    return {key.decode(): value.decode() for key, value in (metadata or {}).items() if key != b"ARROW:schema"}


def read(path):
    if path.endswith(".parquet"):
        return pq.read_table(path)
    with pa.ipc.open_file(path) as file:
        return file.read_all()


for path in sys.argv[1:]:
    table = read(path)
    table.validate(full=True)
    fields = {field.name: {"arrow": str(field.type), **texts(field.metadata)} for field in table.schema}
    columns = [table.column(0).cast("int64"), *table.columns[1:]]
    rows = [list(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
    print(json.dumps({**texts(table.schema.metadata), "fields": fields, "rows": rows}))
