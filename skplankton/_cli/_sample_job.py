"""One sample → its table of names, part by part."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from skplankton._cli._files import json_bytes, read_json, write_whole
from skplankton._cli._model_file import Model
from skplankton._cli._naming import NAME, SCORE, columns, n_neighbors, name_particles
from skplankton._cli._output_folder import PART_OF_NAMES, OutputFolder, result_names
from skplankton._cli._particles import errors
from skplankton._cli._reports import gathered_reports, plural, say, show_bars
from skplankton._cli._samples import Sample
from skplankton.ecotaxa import write_ecotaxa
from skplankton.ecotaxa._image_files import image_file


@dataclass(frozen=True)
class SampleJob:
    """How samples are named; `wanted` are kinds of results."""

    model: Model
    folder: OutputFolder
    options: Namespace
    wanted: set[str]

    def name_sample(self, sample: Sample, state: str) -> dict[str, Any]:
        """Name the particles that are not named yet; return the sample's record."""
        work = self.folder.begin(sample.name, state)
        with gathered_reports() as problems:
            table = sample.load(
                channels=self.options.channels or self.model.channels or "auto",
                cache=self.options.cache or work / "views",
                errors=errors(self.options.strict),
                verbose=show_bars(self.options.quiet),
            )
        parts = list(self._parts(sample, table, work))
        names = result_names(sample.name)
        results = {"table": work / names["table"]}
        counts = self._write_table(results["table"], parts)
        for part in parts:
            problems += read_json(part)["problems"]
        if "ecotaxa" in self.wanted:
            if table["image"].notna().any():
                results["ecotaxa"] = work / names["ecotaxa"]
                problems += self._write_ecotaxa(results, table)
            else:
                say(f"{sample.name}: no images, so there is nothing for EcoTaxa")
        if problems:
            results["problems"] = work / names["problems"]
            text = "\n\n".join(problems) + "\n"
            content = text.encode(errors="backslashreplace")  # names of files
            write_whole(results["problems"], content, work)
        unnamed = counts.pop("")
        record = {
            "state": state,
            "looked_for": sorted(self.wanted),
            "particles": len(table),
            "unnamed": unnamed,
            "species": dict(sorted(counts.items())),
            "problems": bool(problems),
        }
        self.folder.finish(sample.name, results, record)
        without = f", {unnamed} without a name" if unnamed else ""
        say(f"{sample.name}: {plural(len(table), 'particle')}{without}")
        return record

    def _parts(self, sample: Sample, table: pd.DataFrame, work: Path) -> Iterator[Path]:
        """Files with the names of some particles each, in order."""
        size = self.options.chunk_size
        with tqdm(
            total=len(table),
            desc=sample.name,
            unit="particle",
            leave=False,
            disable=not show_bars(self.options.quiet),
        ) as progress:
            for start in range(0, len(table), size):
                chunk = table.iloc[start : start + size]
                rows_of_part = f"{start}-{start + len(chunk)}"
                part = work / PART_OF_NAMES.replace("*", rows_of_part)
                if read_json(part) is None:
                    with gathered_reports() as problems:
                        rows = name_particles(self.model, chunk)
                    content = json_bytes({"rows": rows, "problems": problems})
                    write_whole(part, content, work)
                progress.update(len(chunk))
                yield part

    def _write_table(self, path: Path, parts: list[Path]) -> Counter[str]:
        """Write the parts as one table; return how many of each name there are."""
        names = {str(name): 0 for name in self.model.pipeline["gallery"].classes_}
        counts = Counter(names | {"": 0})
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns(self.model))
            for part in parts:
                rows = read_json(part)["rows"]
                writer.writerows(rows)
                counts.update(row[1] for row in rows)
        return counts

    def _write_ecotaxa(
        self, results: dict[str, Path], table: pd.DataFrame
    ) -> list[str]:
        """Write the import of EcoTaxa; return what could not be."""
        named = pd.read_csv(results["table"], dtype=str, keep_default_na=False)
        nearest = [f"neighbor_{k + 1}" for k in range(n_neighbors(self.model))]
        arguments: dict[str, Any] = {
            "predictions": named[NAME].where(named[NAME] != "", None),
            "proba": named[SCORE].replace("", "nan").to_numpy(dtype=np.float64),
            "neighbors": named[nearest],
            "without_image": "aside",
            "overwrite": True,  # in the work folder, of an interrupted run
        }
        problems: list[str] = []
        try:
            write_ecotaxa(results["ecotaxa"], table, **arguments)
        except ValueError as error:
            broken = [not _is_readable(cell) for cell in table["image"]]
            if self.options.strict or not any(broken):
                raise
            problems.append(
                f"{plural(sum(broken), 'image')} left out of the import of EcoTaxa, "
                f"the first: {error}"
            )
            # Their names go with those of the particles without an image.
            image = table["image"].where(~np.array(broken), None)
            if image.notna().any():
                write_ecotaxa(
                    results["ecotaxa"], table.assign(image=image), **arguments
                )
            else:
                del results["ecotaxa"]
        return problems


def _is_readable(cell: Any) -> bool:
    if pd.isna(cell):
        return True
    try:
        image_file(cell)
    except (OSError, TypeError, ValueError):
        return False
    return True
