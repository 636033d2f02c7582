"""Pieces of a self-contained HTML page: headings, words, tables as they are shown on a terminal, pictures held in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing is loaded, nothing runs
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; margin: .6rem 0 1rem; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; } th { border-bottom: 1px solid #666; }
td.right, th.right { text-align: right; white-space: nowrap; }
.wide { overflow-x: auto; } .bad { color: #a40000; font-weight: 600; }
img { max-width: 100%; height: auto; } pre { font-size: .8rem; overflow-x: auto; background: #f5f5f5; padding: .6rem; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 1rem; overflow-wrap: anywhere; } summary { cursor: pointer; }
@media print { details > * { display: block; } }
"""


class Page:
    """A page that grows from top to bottom; ``html`` is the whole."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._body: list[str] = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str, level: int = 2) -> None:
        """A heading of the second level, or a lower one."""
        self._body.append(f"<h{level}>{escape(text)}</h{level}>")

    def words(self, *lines: str, bad: bool = False) -> None:
        """A paragraph each."""
        style = ' class="bad"' if bad else ""
        self._body += [f"<p{style}>{escape(line.strip())}</p>" for line in lines if line.strip()]

    def listed(self, lines: Iterable[str]) -> None:
        """A list."""
        self._body.append("<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>")

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and what they are."""
        items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
        self._body.append(f"<dl>{items}</dl>")

    def table(self, table: Table) -> None:
        """A table as it is shown on a terminal."""
        right = ["right" if column.justify == "right" else "" for column in table.columns]
        head = "".join(_cell("th", _plain(column.header), side) for column, side in zip(table.columns, right, strict=True))
        columns = [[_plain(cell) for cell in column.cells] for column in table.columns]
        rows = "".join(
            "<tr>" + "".join(_cell("td", text, side) for text, side in zip(row, right, strict=True)) + "</tr>"
            for row in zip(*columns, strict=True)
        )
        self._body.append(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>')

    def rows(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table of texts."""
        table = Table()
        for name in names:
            table.add_column(name)
        for row in rows:
            table.add_row(*map(Text, row))
        self.table(table)

    def picture(self, figure: Figure, description: str) -> None:
        """A picture, held in the page, with words for who cannot see it."""
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=DPI)
        data = base64.b64encode(stream.getvalue()).decode("ascii")
        self._body.append(f'<figure><img alt="{escape(description)}" src="data:image/png;base64,{data}"></figure>')

    def folded(self, summary: str, text: str) -> None:
        """Long text that opens on a click."""
        self._body.append(f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>")

    @property
    def html(self) -> str:
        """The document; it loads nothing."""
        head = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head>\n<body>\n"
        )
        return head + "\n".join(self._body) + "\n</body></html>\n"


def _cell(tag: str, text: str, side: str) -> str:
    style = f' class="{side}"' if side else ""
    return f"<{tag}{style}>{escape(text)}</{tag}>"


def _plain(cell: object) -> str:
    """The text of a cell, without style."""
    if isinstance(cell, Text):
        return cell.plain
    if isinstance(cell, str):
        return Text.from_markup(cell).plain
    console = Console(file=io.StringIO(), width=200)
    console.print(cell, end="")
    return str(console.file.getvalue())  # type: ignore[attr-defined]
