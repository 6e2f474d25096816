"""The terms of Darwin Core and of the NERC vocabularies that are written."""

from typing import NamedTuple

EVENT_COLUMNS = (
    "eventID",
    "eventDate",
    "decimalLatitude",
    "decimalLongitude",
    "minimumDepthInMeters",
    "maximumDepthInMeters",
    "eventRemarks",
)
OCCURRENCE_COLUMNS = (
    "eventID",
    "occurrenceID",
    "occurrenceStatus",
    "basisOfRecord",
    "scientificName",
    "scientificNameID",
    "verbatimIdentification",
    "identifiedBy",
    "identificationReferences",
    "identificationVerificationStatus",
)
MEASUREMENT_COLUMNS = (
    "eventID",
    "occurrenceID",
    "measurementType",
    "measurementTypeID",
    "measurementValue",
    "measurementUnit",
    "measurementUnitID",
    "measurementAccuracy",
)

_NERC = "http://vocab.nerc.ac.uk/collection/"


class Quantity(NamedTuple):
    """A kind of measurement and its terms in the NERC vocabularies P01 and P06."""

    type: str
    type_id: str = ""
    unit: str = ""
    unit_id: str = ""


COUNT = Quantity(
    "Count (in assayed sample) of biological entity specified elsewhere",
    f"{_NERC}P01/current/OCOUNT01/",
)
CONCENTRATION = Quantity(
    "Abundance of biological entity specified elsewhere per unit volume of the water "
    "body",
    f"{_NERC}P01/current/SDBIOL01/",
    "Number per cubic metre",
    f"{_NERC}P06/current/UPMM/",
)
VOLUME = Quantity(
    "Volume sampled of the water body",
    f"{_NERC}P01/current/VOLWBSMP/",
    "Cubic metres",
    f"{_NERC}P06/current/MCUB/",
)
# The vocabulary has no term yet (https://github.com/nvs-vocabs/Q01/issues/1).
INSTRUMENT = Quantity("Imaging instrument name")
ML_PER_CUBIC_METRE = 1e6
