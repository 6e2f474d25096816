"""Contents of EcoTaxa's tables: columns, types, statuses and limits.

Source: EcoTaxa's code for import and export (github.com/ecotaxa/ecotaxa_back, py/BO,
py/DB and py/API_operations).
"""

from __future__ import annotations

TEXT, NUMBER = "[t]", "[f]"

OBJECT_ID = "object_id"
CATEGORY = "object_annotation_category"
CATEGORY_ID = "object_annotation_category_id"
STATUS = "object_annotation_status"
DATE, TIME = "object_annotation_date", "object_annotation_time"
FILE_NAME, RANK = "img_file_name", "img_rank"

# Columns that only exports have; they distinguish an export from an import table.
EXPORT_ONLY = ("object_annotation_hierarchy", "objid")

# Columns that EcoTaxa knows by name; they do not count as free columns of a project.
PREDEFINED = {
    "object_lat": NUMBER,
    "object_lon": NUMBER,
    "object_date": TEXT,
    "object_time": TEXT,
    "object_depth_min": NUMBER,
    "object_depth_max": NUMBER,
    "object_link": TEXT,
    "sample_id": TEXT,
    "sample_dataportal_descriptor": TEXT,
    "acq_id": TEXT,
    "acq_instrument": TEXT,
    "process_id": TEXT,
}

# For any type in the type row: as numbers, these would lose their leading zeros.
ALWAYS_TEXT = {
    OBJECT_ID,
    CATEGORY,
    CATEGORY_ID,
    STATUS,
    DATE,
    TIME,
    FILE_NAME,
    "object_date",
    "object_time",
    "sample_id",
    "acq_id",
    "process_id",
    "objid",
}

# Tables have the word; EcoTaxa's database, and sometimes an export, has the letter.
STATUS_OF_WORD = {
    "validated": "validated",
    "predicted": "predicted",
    "dubious": "dubious",
    "discarded": "discarded",
    "v": "validated",
    "p": "predicted",
    "d": "dubious",
    "x": "discarded",
    "noid": None,
    "": None,
}
STATUSES = ("validated", "predicted", "dubious", "discarded")

# Free columns per prefix (and, for objects, per type) that a project may have.
MAX_FREE_COLUMNS = {
    ("object", NUMBER): 500,
    ("object", TEXT): 20,
    ("acq", None): 30,
    ("process", None): 30,
    ("sample", None): 60,
}
MAX_ID_LENGTH = 255
MAX_TEXT_LENGTH = 250
