"""Putting the page together."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import onnx2snn
from onnx2snn.certificate import Certificate, verify
from onnx2snn.data import DataSet, input_specs, open_data
from onnx2snn.errors import OutputError
from onnx2snn.report.facts import Facts, gather
from onnx2snn.runtime import SpikingSession


def write_report(
    source: str | Path,
    snn: str | Path,
    data: Any,
    html: str | Path,
    *,
    certificate: Certificate | None = None,
) -> dict[str, Any]:
    """Write one self-contained HTML page about a conversion.

    Args:
        source: The network that was converted.
        snn: The converted network.
        data: A path, a data set, or {input name: array}.
        html: Where the page goes.
        certificate: Of these files on this data, if there is one; otherwise it is made.

    Returns:
        The page's numbers.

    Raises:
        OutputError: jinja2 or matplotlib is missing (extra ``report``), or the page cannot be written.
    """
    try:
        import jinja2  # noqa: PLC0415 - an extra
        import markupsafe  # noqa: PLC0415

        from onnx2snn.report import figures  # noqa: PLC0415
    except ImportError as error:
        remedy = "pip install 'onnx2snn[report]'"
        raise OutputError(
            "the report needs jinja2 and matplotlib", found=str(error), remedy=remedy
        ) from error
    data_set = data if isinstance(data, DataSet) else open_data(data, input_specs(source))
    made = certificate or verify(source, snn, data_set)
    facts = gather(SpikingSession(snn), data_set, made)
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        (Path(__file__).parent / "page.html.j2").read_text(encoding="utf-8")
    )
    page = template.render(
        title=Path(snn).name,
        f=facts,
        c=made,
        compared=sum(layer.levels_compared for layer in made.layers),
        unexplained=sum(layer.unexplained for layer in made.layers),
        figures=[
            {"title": title, "svg": markupsafe.Markup(draw(facts)), "caption": caption}  # noqa: S704 - our own figure
            for title, draw, caption in _figures(figures, facts)
        ],
        producer=f"onnx2snn {onnx2snn.__version__}",
    )
    _write(Path(html), page)
    return facts.to_dict()


def _figures(figures: Any, facts: Facts) -> list[tuple[str, Any, str]]:
    total = sum(layer.spikes_per_neuron * layer.neurons for layer in facts.layers)
    saved = (
        ""
        if facts.energy_ann != facts.energy_ann
        else f"{facts.energy_ann / max(facts.energy_snn, 1e-30):.2g} × less than the ANN"
    )
    spikes = ", ".join(f"{figures.short(la.name)}: {la.spikes_per_neuron:.3f}" for la in facts.layers)
    return [
        ("Spikes per neuron", figures.spikes_by_layer, f"{total:,.0f} spikes a sample. {spikes}."),
        (
            "Energy of one sample",
            figures.energy,
            f"SynOps · 0.9 pJ + analog MACs · 4.6 pJ against MACs · 4.6 pJ: {saved}.",
        ),
        ("One sample", figures.picture, "The first sample of the data; raster and potentials below are its."),
        (
            "Spikes of that sample",
            figures.raster,
            f"{figures.SHOWN} active neurons of each layer, from the busiest to the quietest.",
        ),
        (
            "Membrane potentials",
            figures.potentials,
            "The busiest neuron of each layer, relative to its largest potential.",
        ),
        (
            "Distribution of levels",
            figures.levels,
            "Share of neurons at each level, all samples, logarithmic.",
        ),
    ]


def _write(target: Path, page: str) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.writing-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(page)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"'{target}' cannot be written", found=error.strerror or str(error)) from error
