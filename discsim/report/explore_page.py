"""The explorer's page (Dash): sliders, curves, a field, the certificate. All numbers come from ``study.explore``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from discsim.quantities.units import time_words
from discsim.report.explore_figures import certificate, certificate_columns, certificate_words, curves, field
from discsim.report.raster import SectionRaster
from discsim.scenario.readouts import READOUTS
from discsim.study.explore import Explorer, Look
from discsim.study.messages import ConfigError
from discsim.study.result import ResultError

HOSTS = ("127.0.0.1", "localhost")
STYLE = """
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.3rem; margin: .8rem 1rem .1rem; } .about { margin: 0 1rem .6rem; color: #555; }
.page { display: grid; grid-template-columns: minmax(17rem, 21rem) minmax(0, 1fr); gap: 1.2rem; padding: 0 1rem 1rem; }
.knob { margin: 0 0 .6rem; } .knob .name { font-weight: 600; overflow-wrap: anywhere; }
.knob .note { color: #555; font-size: .78rem; line-height: 1.25; }
.knob .value { display: flex; gap: .4rem; align-items: center; }
.knob .value > span, .ends { color: #555; } .knob .dash-input-container { width: 7.5rem; height: 1.7rem; min-height: 0; }
.knob .dash-input-stepper { display: none; } .knob input { width: 100%; font: inherit; padding: .05rem .3rem; }
.knob .dash-slider-container { padding: .2rem 0; } .knob .ends { display: flex; justify-content: space-between; font-size: .75rem;
  font-variant-numeric: tabular-nums; margin-top: -.45rem; }
.choices { display: flex; flex-wrap: wrap; gap: .8rem; margin: 0 0 .3rem; } .choices label { display: block; font-size: .8rem;
  color: #555; } .choices > div { min-width: 9rem; flex: 1 1 9rem; }
button { font: inherit; padding: .3rem .7rem; margin: 0 .5rem .5rem 0; border: 1px solid #666; border-radius: 4px;
  background: #f5f5f5; cursor: pointer; } button:disabled { color: #999; cursor: wait; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; font-size: .88rem; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
#busy { margin-left: 1rem; } .bad { color: #a40000; font-weight: 600; }
.words { color: #555; font-size: .85rem; margin: .4rem 0; min-height: 1.3em; }
@media (max-width: 60rem) { .page { grid-template-columns: minmax(0, 1fr); } }
"""
INDEX = """<!doctype html>
<html lang="en"><head>{%metas%}<title>{%title%}</title><link rel="icon" href="data:,">{%css%}<style>STYLE</style></head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>""".replace("STYLE", STYLE)
# A slider holds a share of the range, the box beside it the value; whichever is moved moves the other.
PAIR = """
function(shares, numbers) {
  const moved = window.dash_clientside.callback_context.triggered_id, keep = window.dash_clientside.no_update;
  if (!moved) { return [keep, keep]; }
  const k = KNOBS[moved.number];
  const newShares = shares.map(() => keep), newNumbers = numbers.map(() => keep);
  if (moved.kind === "slider") {
    const s = shares[moved.number];
    const raw = k.log ? k.low * Math.pow(k.high / k.low, s) : k.low + (k.high - k.low) * s;
    newNumbers[moved.number] = Math.min(Math.max(Number(raw.toPrecision(DIGITS)), k.low), k.high);
  } else {
    const v = Math.min(Math.max(numbers[moved.number], k.low), k.high);
    const s = k.log ? Math.log(v / k.low) / Math.log(k.high / k.low) : (v - k.low) / (k.high - k.low);
    if (Number.isFinite(s)) { newShares[moved.number] = s; }
  }
  return [newShares, newNumbers];
}
"""
# One redraw is asked for at a time; what moved meanwhile is asked for when it is done, once.
ASK = """
function(numbers, readout, arm, quantity, record, full, done) {
  const own = window.discsimExplore = window.discsimExplore || {asked: "", sequence: 0, full: 0};
  const keep = window.dash_clientside.no_update;
  if (own.sequence !== done.sequence) { return [keep, keep]; }
  const wanted = {numbers, readout, arm, quantity, record, full: full > own.full};
  const text = JSON.stringify(wanted);
  if (text === own.asked) { return [keep, ""]; }
  own.asked = JSON.stringify({...wanted, full: false});
  own.full = full;
  own.sequence += 1;
  wanted.sequence = own.sequence;
  return [wanted, wanted.full ? "computing at full order, which may take a minute the first time" : keep];
}
"""


class ExplorerPage:
    """The page of an explorer; ``app`` is the Dash application. One computation runs at a time."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self._lock = threading.Lock()
        self._full: Look | None = None
        look = explorer.look(explorer.nominal)
        frames = explorer.frames(look, 0)
        self.quantities = explorer.quantities(next(iter(frames.values()))) if frames else {}
        try:
            self.raster: SectionRaster | None = SectionRaster(*explorer.mesh())
            self.no_field = "" if frames else "no field: the values of the file lie outside of the trained box"
        except ResultError as error:
            self.raster, self.no_field = None, str(error)
        self.app = self._application()
        self.draw(self.first)  # whatever is loaded or compiled on first use is so before anyone waits for it

    @property
    def first(self) -> dict[str, Any]:
        """What the page shows first."""
        fields, times = self.quantities, self.explorer.records
        quantity = "glucose" if "glucose" in fields else next(iter(fields), "")
        choices = {"readout": self.explorer.study.readouts[0], "arm": self.explorer.arms[0], "quantity": quantity}
        numbers = [knob.nominal for knob in self.explorer.knobs]
        return choices | {"numbers": numbers, "record": len(times) - 1, "full": False, "sequence": 0}

    # ---- what the page asks for

    def draw(self, wanted: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Curves, field, certificate, words and what was drawn, for values and choices of the page."""
        from dash import no_update

        began = time.perf_counter()
        done = {"sequence": wanted["sequence"]}
        try:
            with self._lock:
                values = self.values(wanted["numbers"])
                look = self._look(values, full=bool(wanted["full"]))
                picture = self._field(look, wanted)
        except ConfigError as error:
            return no_update, no_update, no_update, self._words(str(error), bad=True), done
        except Exception as error:  # the page must go on, and say what happened
            return no_update, no_update, no_update, self._words(f"{type(error).__name__}: {error}", bad=True), done
        shown = curves(look, wanted["readout"])
        table = self._table(look, wanted["readout"], int(wanted["record"]))
        took = 1e3 * (time.perf_counter() - began)
        source = "reduced model" if look.engine == self.explorer.engine.name else "full order"
        words = f"{source}: {1e3 * look.seconds:.0f} ms for {len(look.arms)} arms; {took:.0f} ms in all"
        return shown, picture, table, self._words(words), done | {"values": values}

    def values(self, numbers: Sequence[float | None]) -> dict[str, float]:
        """Values by path of the numbers of the page; raises ``ConfigError`` for an empty box."""
        found = {}
        for knob, number in zip(self.explorer.knobs, numbers, strict=True):
            found[knob.path] = float("nan") if number is None else float(number)
        return found

    def saved(self, drawn: Mapping[str, Any] | None) -> dict[str, str] | None:
        """The experiment file of what was drawn last, for the browser to save."""
        if not drawn or "values" not in drawn:
            return None
        with self._lock:
            text = self.explorer.experiment_text(drawn["values"])
        return {"content": text, "filename": "explored.toml", "type": "application/toml"}

    def _look(self, values: dict[str, float], *, full: bool) -> Look:
        """At full order where that was asked for at these values, else by the reduced model."""
        if full:
            self._full = self.explorer.full_order(values)
        if self._full is not None and self._full.values == values:
            return self._full
        return self.explorer.look(values)

    def _field(self, look: Look, wanted: Mapping[str, Any]) -> Any:
        arm, quantity = wanted["arm"], wanted["quantity"]
        frames = self.explorer.frames(look, int(wanted["record"])) if self.raster is not None else {}
        if self.raster is None or arm not in frames or quantity not in self.quantities:
            why = self.no_field or f"no field of {arm}: {look.arms[arm].trouble}"
            hidden = {"visible": False}
            title = {"text": why, "font": {"size": 13}}
            return {"data": [], "layout": {"title": title, "xaxis": hidden, "yaxis": hidden, "plot_bgcolor": "white"}}
        return field(self.raster, frames, arm, quantity, self.quantities[quantity])

    # ---- what it is made of

    def _table(self, look: Look, readout: str, record: int) -> Any:
        from dash import html

        head = html.Tr([html.Th(word) for word in certificate_columns(readout)])
        rows = [
            html.Tr(
                [html.Td(text) for text in (row.arm, row.value, row.bar, row.allowed, row.box, row.engine)]
                + [html.Td(row.verdict, className="" if row.good else "bad")]
            )
            for row in certificate(look, readout, record)
        ]
        return html.Table([html.Thead(head), html.Tbody(rows)])

    def _words(self, text: str, *, bad: bool = False) -> Any:
        from dash import html

        return html.Span(text, className="bad" if bad else "")

    def _knobs(self) -> list[Any]:
        from dash import dcc, html

        found = []
        for number, knob in enumerate(self.explorer.knobs):
            unit = "" if knob.unit == "dimensionless" else knob.unit
            note = f"{knob.evidence}{', log scale' if knob.scale == 'log' else ''}: {knob.description}".rstrip(": ")
            slider = dcc.Slider(
                id={"kind": "slider", "number": number}, min=0.0, max=1.0, step=0.001, value=knob.share(knob.nominal), marks=None,
                updatemode="drag", allow_direct_input=False,
            )  # fmt: skip
            box = dcc.Input(
                id={"kind": "number", "number": number}, type="number", value=knob.nominal, step="any", debounce=True,
                min=knob.least, max=knob.most,
            )  # fmt: skip
            ends = html.Div([html.Span(f"{end:.4g}") for end in (knob.low, knob.high)], className="ends")
            found.append(
                html.Div(
                    [
                        html.Div(knob.path, className="name"),
                        html.Div(note, className="note"),
                        html.Div([box, html.Span(unit)], className="value"),
                        slider,
                        ends,
                    ],
                    className="knob",
                )
            )
        return found

    def _choices(self) -> tuple[Any, Any]:
        """The choices above the curves, and those above the field."""
        from dash import dcc, html

        def choice(name: str, label: str, options: Mapping[Any, str], value: Any) -> Any:
            listed = [{"label": words, "value": key} for key, words in options.items()]
            menu = dcc.Dropdown(id=name, options=listed, value=value, clearable=False, searchable=False)
            return html.Div([html.Label(label), menu])

        readouts = {name: f"{name}: {READOUTS[name].description}" for name in self.explorer.study.readouts}
        times = {number: time_words(when) for number, when in enumerate(self.explorer.records)}
        fields = {name: f"{name.rpartition('/')[2]}: {words}" for name, (words, _) in self.quantities.items()}
        arms = {name: name for name in self.explorer.arms}
        first = self.first
        above = [choice("readout", "readout", readouts, first["readout"])]
        below = [
            choice("arm", "field of arm", arms, first["arm"]),
            choice("quantity", "field", fields, first["quantity"]),
            choice("record", "field and certificate at", times, first["record"]),
        ]
        return html.Div(above, className="choices"), html.Div(below, className="choices")

    def _layout(self) -> Any:
        from dash import dcc, html

        plain = {"displayModeBar": False, "responsive": True}
        above, below = self._choices()
        left = [
            html.Button("As in the file", id="reset"),
            html.Button("Save as experiment file", id="save"),
            html.Button("Compute at full order", id="full", n_clicks=0),
            *self._knobs(),
        ]
        right = [
            above,
            dcc.Graph(id="curves", config=plain, style={"height": "19rem"}),
            html.Div([html.Span(id="words"), html.Span(id="busy")], className="words"),
            below,
            dcc.Graph(id="field", config=plain, style={"height": "12.5rem"}),
            html.Div(id="certificate"),
            html.P(certificate_words(self.explorer), className="words"),
        ]
        return html.Div(
            [
                html.H1(self.explorer.study.title or "discsim explore"),
                html.P(
                    f"{self.explorer.source}; the sliders span the range that the reduced model is trained in", className="about"
                ),
                html.Div([html.Div(left), html.Div(right)], className="page"),
                dcc.Store(id="wanted"),
                dcc.Store(id="done", data={"sequence": 0}),
                dcc.Download(id="download"),
            ]
        )

    def _application(self) -> Any:
        from dash import ALL, Dash, Input, Output, State, no_update

        app = Dash("discsim", title="discsim explore", update_title="", index_string=INDEX, serve_locally=True)
        app.layout = self._layout()
        sliders, numbers = ({"kind": kind, "number": ALL} for kind in ("slider", "number"))
        knobs = [{"low": knob.low, "high": knob.high, "log": knob.scale == "log"} for knob in self.explorer.knobs]
        from discsim.study.explore import DIGITS

        app.clientside_callback(
            PAIR.replace("KNOBS", json.dumps(knobs)).replace("DIGITS", str(DIGITS)),
            [Output(sliders, "value"), Output(numbers, "value")],
            [Input(sliders, "value"), Input(numbers, "value")],
            prevent_initial_call=True,
        )
        choices = [Input(name, "value") for name in ("readout", "arm", "quantity", "record")]
        app.clientside_callback(
            ASK,
            [Output("wanted", "data"), Output("busy", "children")],
            [Input(numbers, "value"), *choices, Input("full", "n_clicks"), Input("done", "data")],
        )
        outputs = [Output("curves", "figure"), Output("field", "figure"), Output("certificate", "children")]
        app.callback(
            [*outputs, Output("words", "children"), Output("done", "data")], Input("wanted", "data"), prevent_initial_call=True
        )(self.draw)

        def save(clicks: int | None, drawn: Mapping[str, Any] | None) -> Any:
            return (self.saved(drawn) if clicks else None) or no_update

        app.callback(Output("download", "data"), Input("save", "n_clicks"), State("done", "data"), prevent_initial_call=True)(
            save
        )
        nominal = [knob.nominal for knob in self.explorer.knobs]
        app.clientside_callback(
            f"function(clicks) {{ return {json.dumps(nominal)}; }}",
            Output(numbers, "value", allow_duplicate=True),
            Input("reset", "n_clicks"),
            prevent_initial_call=True,
        )
        app.server.before_request(_refuse_strangers)
        return app


def _refuse_strangers() -> None:
    """A page from elsewhere that points its own name at this machine is not answered."""
    from flask import abort, request

    if request.host.rpartition(":")[0] not in HOSTS and request.host not in HOSTS:
        abort(403)


def serve(page: ExplorerPage, listening: Any, ready: Callable[[], None]) -> None:
    """Answer on a socket that listens already, until interrupted; ``ready`` is called once it does."""
    import logging

    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = listening.getsockname()[:2]
    handler = type("Handler", (WSGIRequestHandler,), {"protocol_version": "HTTP/1.1"})
    server = make_server(host, port, page.app.server, threaded=True, request_handler=handler, fd=listening.fileno())
    server.daemon_threads = True
    ready()
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.server_close()
