"""Schemas that the registry's clients register, each as SAL writes it."""


def field(name, ty, **attributes):
    return {"name": name, "type": ty, **attributes}


def record(*fields):
    return {"type": "record", "name": "forces", "namespace": "lsst.sal.Client", "fields": list(fields), "description": "Forces, äß"}


STAMP = field("private_sndStamp", "double", default=0.0, description="Time of instance publication", units="second")
FORCE = field("force", {"type": "array", "items": "double"}, default=[0.0, 0.0, 0.0], description="", units="N")

FIRST = record(STAMP, FORCE)
SECOND = record(STAMP, FORCE, field("name", "string", default="", description="", units="unitless"))
# The new field has no default, so it cannot read what was written before.
INCOMPATIBLE = record(STAMP, FORCE, field("serial", "string", description="", units="unitless"))
# Attributes and aliases in no order.
UNSORTED = {
    "type": "record",
    "name": "forces",
    "namespace": "lsst.sal.Client",
    "fields": [field("a", "int", default=0, units="m", description="x")],
    "zone": 1,
    "area": {"b": 1},
}


def refused(error, call):
    """The error that a call must end with."""
    try:
        answer = call()
    except error as refusal:
        return refusal
    raise AssertionError(f"not refused, but answered: {answer}")
