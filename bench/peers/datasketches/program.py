"""Apache DataSketches: one KLL sketch of doubles per column, k = 200, updated with whole numpy columns."""

import numpy as np
from datasketches import kll_doubles_sketch
from serve import serve

STATE = {}


def load(path, bins=0):
    """float64[columns, rows]"""
    STATE["values"] = np.load(path)


def run():
    for column in STATE["values"]:
        kll_doubles_sketch(200).update(column)


serve(["datasketches", "numpy"], load=load, run=run)
