"""The options that say what data a command reads, and the data set they describe."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onnx2snn.cli.helping import PATH

if TYPE_CHECKING:
    from onnx2snn.data import DataSet, ImageOptions

Command = TypeVar("Command", bound=Callable[..., Any])

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]  # generic in its stubs, not in every version that runs
else:
    ParamType = click.ParamType

#: Under which name :func:`open_for` finds how many samples a command takes.
_LIMIT = "onnx2snn.limit"

DATA_HELP = (
    "Samples: .npz (arrays by input name, a lone input's by any; true classes as 'labels'), .npy, a folder of such shards, "
    "or a folder of images by class."
)


class ImageSize(ParamType):
    """``224x224`` or ``224``: height and width in pixels."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Two positive numbers."""
        if isinstance(value, tuple):
            return value
        parts = str(value).lower().split("x")
        if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
            self.fail(f"'{value}' is not a size; give height x width, for example 224x224", param, ctx)
        return int(parts[0]), int(parts[-1])


class NumberList(ParamType):
    """``0.485,0.456,0.406``: one number, or one a channel."""

    name = "NUMBERS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Numbers between commas."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' are not numbers; give one, or one a channel: 0.485,0.456,0.406", param, ctx)


def _keep_limit(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    """For :func:`open_for`: how much of the data there is, whichever command asks."""
    del param
    ctx.meta[_LIMIT] = value


def data_option(
    *, required: bool, name: str = "--data", help_text: str = DATA_HELP
) -> Callable[[Command], Command]:
    """Add ``--data``, ``--limit`` and the options for folders of images; the command receives ``data`` and ``images``.

    Args:
        required: Whether there have to be data.
        name: What the option is called.
        help_text: What it says.
    """

    def decorate(command: Command) -> Command:
        @click.option(name, "data", type=PATH, required=required, metavar="PATH", help=help_text)
        @click.option(
            "--limit",
            type=click.IntRange(1),
            metavar="N",
            expose_value=False,
            callback=_keep_limit,
            help="The first N samples only.",
        )
        @click.option(
            "--image-size", type=ImageSize(), metavar="HxW", help="Height x width (default: the model's)."
        )
        @click.option(
            "--image-resize",
            type=click.Choice(["stretch", "crop"]),
            default="stretch",
            show_default=True,
            help="How they are fitted.",
        )
        @click.option("--image-mean", type=NumberList(), default="0", help="Subtracted from pixels in 0..1.")
        @click.option("--image-std", type=NumberList(), default="1", help="Divides what is left.")
        @wraps(command)
        def with_images(
            *args: Any, image_size: Any, image_resize: Any, image_mean: Any, image_std: Any, **rest: Any
        ) -> Any:
            from onnx2snn.data import ImageOptions  # noqa: PLC0415 - NumPy only where data is read

            images = ImageOptions(size=image_size, resize=image_resize, mean=image_mean, std=image_std)
            return command(*args, images=images, **rest)

        return with_images  # type: ignore[return-value]

    return decorate


def open_for(model: str, data: str, images: ImageOptions) -> DataSet:
    """The data set at ``data``, checked against the inputs of ``model``."""
    from onnx2snn.data import input_specs, open_data  # noqa: PLC0415

    found = open_data(data, input_specs(model), images=images)
    limit = click.get_current_context().meta.get(_LIMIT)
    return found if limit is None else found.first(limit)
