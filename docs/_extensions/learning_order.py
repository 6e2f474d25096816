"""The order of the examples on the gallery's page: what a newcomer reads first."""

from pathlib import Path

from sphinx.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "examples"
ORDER = (
    "plot_quickstart.py",
    "plot_label_eight.py",
    "plot_few_labels.py",
    "plot_missing_views.py",
    "plot_image_only_vs_cross_modal.py",
    "plot_temperature_and_gallery_size.py",
    "plot_unknown_species.py",
    "plot_new_species.py",
    "plot_new_site.py",
    "plot_station_day.py",
    "plot_ifcb.py",
)


class LearningOrder:
    """A key of sphinx-gallery, which makes one for each folder of examples."""

    def __init__(self, folder):
        there = {path.name for path in EXAMPLES.glob("plot_*.py")}
        if wrong := there ^ set(ORDER):
            raise ConfigError(
                "ORDER in docs/_extensions/learning_order.py has to name each example "
                f"and nothing else; of these it is not so: {', '.join(sorted(wrong))}"
            )

    def __call__(self, filename):
        return ORDER.index(Path(filename).name)

    def __repr__(self):
        return "<LearningOrder>"
