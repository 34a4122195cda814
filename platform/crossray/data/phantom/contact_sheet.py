"""A sheet of captioned examples.

``python -m crossray.data.phantom.contact_sheet OUT.jpg`` writes it.
"""

import argparse
import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from crossray.data.phantom import PhantomConfig, generate, sample_study
from crossray.data.phantom.canvas import SIZE
from crossray.data.phantom.study import ChestFinding

COLUMNS, ROWS = 6, 4
_CAPTION = 26


def contact_sheet(config: PhantomConfig) -> Image.Image:
    """Six by four images, chosen for variety: each shows something that none before it shows."""
    sheet = Image.new("L", (COLUMNS * SIZE, ROWS * (SIZE + _CAPTION)))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    for place, row in enumerate(_varied_rows(config, COLUMNS * ROWS)):
        (item,) = generate(config, row, row + 1)
        x, y = place % COLUMNS * SIZE, place // COLUMNS * (SIZE + _CAPTION)
        sheet.paste(Image.open(io.BytesIO(item["image"])), (x, y))
        caption = [_caption(finding) for finding in sample_study(config, row).drawn] or ["normal"]
        for line, text in enumerate((", ".join(caption[:1]), ", ".join(caption[1:]))):
            draw.text((x + 3, y + SIZE + 12 * line), text[:46], fill=235, font=font)
    return sheet


def _caption(finding: ChestFinding) -> str:
    what = finding.kind or finding.name.lower()
    return " ".join(word for word in (finding.severity, finding.side, finding.zone, what) if word)


def _varied_rows(config: PhantomConfig, number: int) -> list[int]:
    """Rows with at most two findings of which one has not been shown, then any."""
    seen: set[str] = set()
    chosen = []
    for row in range(config.items):
        what = {f.kind or f.name for f in sample_study(config, row).drawn} or {"normal"}
        if len(what) <= 2 and what - seen:
            seen |= what
            chosen.append(row)
    others = [row for row in range(config.items) if row not in set(chosen)]
    return sorted([*chosen, *others][:number])


def main() -> None:
    """Writes the sheet of the default configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the JPEG file to write")
    contact_sheet(PhantomConfig(items=400)).save(parser.parse_args().out, quality=82)


if __name__ == "__main__":
    main()
