"""Putting the page together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx2snn
from onnx2snn import units
from onnx2snn.atomic_files import whole_file
from onnx2snn.certificate import Certificate
from onnx2snn.errors import OutputError
from onnx2snn.model.networks import Network
from onnx2snn.report.gather import Track, gather, untracked
from onnx2snn.report.report_facts import ReportFacts
from onnx2snn.report.sample import Chosen
from onnx2snn.runtime.providers import Provider

if TYPE_CHECKING:
    from onnx2snn.report.figures import Drawing

_FOLDER = Path(__file__).parent


def write_report(
    source: Network,
    snn: Network,
    data: Any,
    html: str | Path,
    *,
    certificate: Certificate | None = None,
    sample: int = 0,
    neurons: Chosen | None = None,
    sweep: Sequence[Any] = (),
    batch: int | None = None,
    providers: Sequence[Provider] | None = None,
    track: Track = untracked,
) -> dict[str, Any]:
    """Write one self-contained HTML page about a conversion.

    Args:
        source: The network that was converted.
        snn: The converted network.
        data: A path, a data set, or {input name: array (N, ...)}; None: the samples that verification draws.
        html: Where the page goes.
        certificate: Of these files on this data, if there is one; otherwise it is made.
        sample: Position of the sample whose spikes are drawn.
        neurons: By layer, the neurons to draw (positions, or indices within its shape), the first one with its membrane
            potential; for other layers some are chosen.
        sweep: Points of an accuracy sweep: :class:`SweepPoint`, or mappings {code, T, accuracy}.
        batch: Samples at a time, at most; None: as many as memory is meant for.
        providers: Execution providers of onnxruntime that run the spiking network; None: the CPU.
        track: Opens a stage of work and returns what to call with the number of samples just done.

    Returns:
        The page's numbers.

    Raises:
        InvalidModelError: a model is missing or damaged, or the SNN is not of this source.
        InputError: the data or a point of the sweep does not fit; there is no such sample, layer or neuron.
        OutputError: jinja2 or matplotlib is missing (extra ``report``), or the page cannot be written.
    """
    require_libraries()
    options: dict[str, Any] = {
        "sample": sample,
        "neurons": neurons,
        "sweep": sweep,
        "batch": batch,
        "providers": providers,
        "track": track,
    }
    facts = gather(source, snn, data, certificate=certificate, **options)
    write_page(facts, html)
    return facts.to_dict()


def require_libraries() -> None:
    """Complain about missing libraries before the work, not after it.

    Raises:
        OutputError: jinja2 or matplotlib is missing.
    """
    try:
        import jinja2  # noqa: F401, PLC0415 - an extra
        import matplotlib as mpl  # noqa: F401, PLC0415
    except ImportError as error:
        remedy = "pip install 'onnx2snn[report]'"
        raise OutputError(
            "the report needs jinja2 and matplotlib", found=str(error), remedy=remedy
        ) from error


def write_page(facts: ReportFacts, html: str | Path) -> None:
    """Draw the facts and write the page.

    Raises:
        OutputError: it cannot be written.
    """
    import jinja2  # noqa: PLC0415 - an extra

    from onnx2snn.report.figures.network_map import draw_map  # noqa: PLC0415

    loader = jinja2.FileSystemLoader(_FOLDER)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": units.count,
        "steps": units.steps_in_words,
        "si": _whole(units.si),
        "percent": _whole(units.percent),
        "number": units.number,
    }
    page = environment.get_template("page.html.j2").render(
        f=facts,
        c=facts.certificate,
        map=draw_map(facts),
        drawings={drawing.key: drawing for drawing in _drawings(facts)},
        compared=sum(layer.levels_compared for layer in facts.certificate.layers),
        ambiguous=sum(layer.ambiguous for layer in facts.certificate.layers),
        propagated=sum(layer.propagated for layer in facts.certificate.layers),
        unexplained=sum(layer.unexplained for layer in facts.certificate.layers),
        hidden=[layer.name for layer in facts.certificate.layers if layer.read_from != "file"],
        producer=f"onnx2snn {onnx2snn.__version__}",
    )
    with whole_file(html) as stream:
        stream.write(page.encode())


def _whole(words: Callable[..., str]) -> Callable[..., str]:
    """The same in one piece: lines do not end between a number and its unit."""
    return lambda *args: words(*args).replace(" ", "\N{NO-BREAK SPACE}")


def _drawings(facts: ReportFacts) -> list[Drawing]:
    from onnx2snn.report import figures  # noqa: PLC0415 - an extra

    drawn = [
        figures.input_pictures,
        figures.raster,
        figures.potentials,
        figures.levels,
        figures.bits,
        figures.energy_bars,
    ]
    if facts.sweep:
        drawn.append(figures.sweep_lines)
    return [draw(facts) for draw in drawn]
