"""Samples as the rows of a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gantrain.core.table_units import Table


def write_rows(out: Path, table: Table, x: Tensor, y: Tensor | None) -> None:
    """Write points [N, d] in the units of the table they learned: ``.npz``, ``.parquet``, else CSV in UTF-8.

    Raises:
        OSError: When the place cannot be written.
    """
    named = table.restore(x, y)
    if out.suffix == ".npz":
        numeric = [name for name in named if name != table.label]
        values = np.array([named[name] for name in numeric], dtype=np.float64).T
        arrays: dict[str, Any] = {"x": values, "columns": np.array(numeric)}
        if y is not None:
            arrays |= {"y": y.numpy(), "values": np.array(table.values)}
        np.savez(out, **arrays)
    elif out.suffix == ".parquet":
        import pandas

        pandas.DataFrame(named).to_parquet(out, engine="pyarrow", index=False)
    else:
        with out.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(named)
            rows.writerows(zip(*named.values(), strict=True))
