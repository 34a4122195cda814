"""An explanation as one picture; its text is drawn as lines of coloured words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends import backend_agg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError
from crossray.explain.explainer import Arrays, Explanation, WordContributions

WIDTH = 12.0  # inches
_TOP, _MAPS, _MARGIN = 4.25, 2.0, 0.5
_TEXT_WIDTH = 10.6
BARS, MAPS = 12, 7
_FOR, _AGAINST = "#2a7f3f", "#b5307f"
_HEAT = "inferno"
FONT_SIZE = 11  # points
LINE = 0.27  # inches
_SPACE = 0.045  # inches
# Without the darkest shades, on which ink cannot be read.
COLORS = ListedColormap(colormaps["PiYG"](np.linspace(0.15, 0.85, 255)), "shares")
_INK, _UNREAD = "#1a1a1a", "#9a9a9a"


def save_picture(found: Explanation, path: Path) -> None:
    """Save the explanation as a PNG: image, heat map, words, dimensions, bits and maps of words.

    Raises `CrossRayError` for a path that cannot be written.
    """
    placed = place_words(found.words, _TEXT_WIDTH)
    text_height = _MARGIN + LINE * (placed[-1].line + 1)
    heights = [_TOP, text_height, *([_MAPS] if len(found.parts) else [])]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=120, facecolor="white")
    rows = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _draw_top(rows[0], found)
    axes = rows[1].add_axes(
        (0.5 / WIDTH, 0.1 / text_height, _TEXT_WIDTH / WIDTH, 1 - _MARGIN / text_height)
    )
    axes.set_title(f"words by what the {_name(found)} loses without them", loc="left", fontsize=10)
    draw_words(axes, found.words, placed, _TEXT_WIDTH)
    _color_scale(rows[1], found, text_height)
    if len(found.parts):
        _draw_maps(rows[2], found)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise CrossRayError(
            f"the picture {str(path)!r} cannot be written ({error.strerror}); choose another file."
        ) from None


def _name(found: Explanation) -> str:
    return "model's score" if found.of == "score" else "cosine"


def _draw_top(figure: SubFigure, found: Explanation) -> None:
    picture = _axes(figure, _TOP, 0.4, 3.7)
    picture.imshow(found.picture_YXC)
    picture.set_title("what the model sees", fontsize=10)
    heat = _axes(figure, _TOP, 4.35, 3.7)
    show_heat(heat, found.picture_YXC, found.heat_YX)
    heat.set_title(_heat_title(found), fontsize=10, parse_math=False)
    scale_bar = _axes(figure, _TOP, 8.13, 0.13)
    figure.colorbar(heat.images[-1], cax=scale_bar, format="%.1e")
    scale_bar.tick_params(labelsize=7)
    picture.axis("off")
    heat.axis("off")
    if found.bits_K is None:
        return _draw_dimensions(_axes(figure, _TOP, 9.35, 2.4), found.dimensions_D)
    _draw_dimensions(_axes(figure, _TOP, 9.35, 2.4, bottom=1.9, height=2.05), found.dimensions_D)
    _draw_bits(_axes(figure, _TOP, 9.35, 2.4, height=1.0), found.bits_K)


def _axes(
    figure: SubFigure,
    row: float,
    left: float,
    width: float,
    bottom: float = 0.25,
    height: float = 3.7,
) -> Axes:
    """Axes placed in inches on a row of a height in inches."""
    return figure.add_axes((left / WIDTH, bottom / row, width / WIDTH, height / row))


def _heat_title(found: Explanation) -> str:
    if found.phrase is None:
        return f"where the {_name(found)} of {found.score:.3f} comes from"
    return f"where it sees “{_short(found.phrase, 38)}”"


def show_heat(axes: Axes, picture_YXC: NDArray[np.uint8], heat_YX: Arrays) -> None:
    """A heat map over its picture in grey; low values are transparent."""
    height, width = picture_YXC.shape[:2]
    extent = (0, width, height, 0)
    axes.imshow(picture_YXC.mean(axis=2), cmap="gray", vmin=0, vmax=255, extent=extent)
    top = float(heat_YX.max()) or 1.0
    # Resampled by matplotlib, the transparency would follow the cells and not the colours.
    rows = np.clip((np.arange(height) + 0.5) * heat_YX.shape[0] / height - 0.5, 0, None)
    columns = np.clip((np.arange(width) + 0.5) * heat_YX.shape[1] / width - 0.5, 0, None)
    smooth_YX = _bilinear(heat_YX, rows, columns)
    axes.imshow(
        smooth_YX, cmap=_HEAT, vmin=0, vmax=top, extent=extent, alpha=0.65 * smooth_YX / top
    )


def _bilinear(map_YX: Arrays, rows: Arrays, columns: Arrays) -> Arrays:
    """Values between the cells of a map at these rows and columns, held at its edges."""
    across = np.stack([np.interp(columns, np.arange(len(row)), row) for row in map_YX])
    return np.stack([np.interp(rows, np.arange(len(line)), line) for line in across.T], axis=1)


def _draw_dimensions(axes: Axes, dimensions_D: NDArray[np.float64]) -> None:
    largest = np.argsort(-np.abs(dimensions_D), kind="stable")[:BARS]
    values = dimensions_D[largest]
    axes.barh(range(len(largest)), values, color=np.where(values >= 0, _FOR, _AGAINST))
    axes.set_yticks(range(len(largest)), [str(number) for number in largest], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="x", labelsize=7)
    shown = f"{len(largest)} largest of {len(dimensions_D)} dimensions"
    axes.set_title(f"cosine {dimensions_D.sum():.3f}: {shown}", fontsize=8.5)


def _draw_bits(axes: Axes, bits_K: NDArray[np.float64]) -> None:
    columns = 16 if len(bits_K) % 16 == 0 else 8
    agree = bits_K.reshape(-1, columns) > 0
    colors = np.where(agree[:, :, None], _rgb(_FOR), _rgb(_AGAINST))
    axes.imshow(colors, aspect="auto")
    axes.set_xticks(np.arange(-0.5, columns), minor=True)
    axes.set_yticks(np.arange(-0.5, len(agree)), minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    axes.set_title(
        f"code {bits_K.sum():.3f}: {agree.sum()} of {len(bits_K)} bits agree (green)", fontsize=8.5
    )


def _rgb(color: str) -> NDArray[np.float64]:
    return np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def _color_scale(figure: SubFigure, found: Explanation, height: float) -> None:
    bar = min(0.9, height - 0.5)
    axes = _axes(figure, height, WIDTH - 0.72, 0.1, height - 0.4 - bar, bar)
    figure.colorbar(ScalarMappable(scale(found.words.shares_W), COLORS), cax=axes, format="%.1g")
    axes.tick_params(labelsize=6)


def _draw_maps(figure: SubFigure, found: Explanation) -> None:
    chosen = chosen_parts(found)
    panels = figure.subplots(
        1, MAPS, squeeze=False,
        gridspec_kw={"left": 0.03, "right": 0.97, "top": 0.76, "bottom": 0.03, "wspace": 0.06},
    )[0]  # fmt: skip
    figure.suptitle(
        "where the model's own attention finds them", x=0.04, y=0.97, ha="left", fontsize=10
    )
    for axes in panels:
        axes.axis("off")
    for axes, part in zip(panels, chosen, strict=False):
        show_heat(axes, found.picture_YXC, found.maps_PYX[part])
        axes.set_title(_short(found.parts[part]), fontsize=9, parse_math=False)


def chosen_parts(found: Explanation) -> Sequence[int]:
    """The parts to show: words that add most to the score, or the sharpest ones of the method."""
    if len(found.parts) == len(found.maps_PYX) == _read(found):
        shares_P = found.words.shares_W[~np.isnan(found.words.shares_W)]
        worded = [part for part, name in enumerate(found.parts) if name.isalpha()]
        best = sorted(worded, key=lambda part: -shares_P[part])[:MAPS]
    else:
        best = sorted(range(len(found.parts)), key=lambda part: -found.maps_PYX[part].max())[:MAPS]
    return sorted(best)


def _read(found: Explanation) -> int:
    return int((~np.isnan(found.words.shares_W)).sum())


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


class Placed(NamedTuple):
    """A word on its line, both in inches from the left and lines from the top."""

    word: int
    left: float
    width: float
    line: int


def place_words(words: WordContributions, width: float) -> list[Placed]:
    """Words set into lines of `width` inches; one that is wider has a line to itself."""
    agg: Any = backend_agg  # untyped
    renderer = agg.RendererAgg(72, 72, dpi=72)
    font = FontProperties(size=FONT_SIZE)
    placed, left, line = [], 0.0, 0
    for number, word in enumerate(words.words):
        points = renderer.get_text_width_height_descent(_plain(word.text), font, ismath=False)[0]
        inches = points / 72
        start = left + (_SPACE if word.spaced and left else 0)
        if start + inches > width and start:
            start, line = 0.0, line + 1
        placed.append(Placed(number, start, inches, line))
        left = start + inches
    return placed


def scale(shares_W: Arrays) -> Normalize:
    """The scale of the colours, symmetric about zero."""
    read = np.abs(shares_W)
    largest = float(np.nanmax(read)) if np.isfinite(read).any() else 0.0
    return Normalize(-(largest or 1.0), largest or 1.0)


def draw_words(
    axes: Axes, words: WordContributions, placed: Sequence[Placed], width: float
) -> None:
    """Draw words on axes that are `width` inches wide and as many lines high as are needed."""
    lines = placed[-1].line + 1
    axes.set_xlim(0, width)
    axes.set_ylim(lines, 0)
    axes.axis("off")
    norm = scale(words.shares_W)
    for at in placed:
        share = words.shares_W[at.word]
        unread = bool(np.isnan(share))
        box = {"facecolor": "none" if unread else COLORS(norm(share)), "edgecolor": "none"}
        axes.text(
            at.left,
            at.line + 0.5,
            _plain(words.words[at.word].text),
            fontsize=FONT_SIZE,
            va="center",
            color=_UNREAD if unread else _INK,
            parse_math=False,
            bbox={**box, "pad": 1.2},
        )


def _plain(text: str) -> str:
    """What a font without every script can show."""
    return text if text.isprintable() else text.encode("ascii", "replace").decode()
