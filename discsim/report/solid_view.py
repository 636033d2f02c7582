"""Three quarters of the disc from outside, deformed and to scale; pyvista (an extra) renders it off screen.

The two cut faces are not shaded, so that their colours are those of the scale; the outside is.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from discsim.report.field_choice import FieldChoice
from discsim.report.field_pictures import COLOUR_MAPS, MARGIN, extent_of
from discsim.report.plane_cuts import X, Y, mirror_signs, moved_corners, solid_cut
from discsim.report.plots import INK, SMALL
from discsim.report.section import Quantity, Section, section
from discsim.study.environment import MissingTool

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PIXELS = 1200  # across a panel
ELEVATION = np.radians(30.0)  # of the viewer above the mid-plane
TURNS = 136  # facets of the outside, of three quarters of a circle
SCALE_BAR = 10.0  # mm
LIFTED = 0.1  # mm towards the viewer, by which lines stand before the faces that they lie on
PROBE = (
    "import vtkmodules.vtkRenderingOpenGL2, vtkmodules.vtkRenderingCore as core; window = core.vtkRenderWindow(); "
    "window.SetOffScreenRendering(1); window.SetSize(8, 8); window.Render(); raise SystemExit(not window.SupportsOpenGL())"
)


def need_pyvista() -> None:
    """Raise ``MissingTool`` where 3-D pictures cannot be rendered. Without OpenGL, VTK ends its process, so another one tries."""
    if importlib.util.find_spec("pyvista") is None:
        raise MissingTool("--view 3d needs pyvista, which is an extra: pip install 'discsim[view]'")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):  # or it would look for a screen first, and warn
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    if subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False).returncode:
        raise MissingTool("--view 3d: VTK finds no OpenGL here; install EGL or OSMesa of Mesa (Debian: libegl1 libgl1-mesa-dri)")


class SolidPainter:
    """The disc without the quarter that faces the viewer, in parallel projection: lengths across the picture are true."""

    def __init__(self, choice: FieldChoice, colours: str) -> None:
        self.choice, self.colours = choice, COLOUR_MAPS[colours]
        wide, high = extent_of(choice)
        self.extent = MARGIN * wide, MARGIN * (wide * float(np.sin(ELEVATION)) + high * float(np.cos(ELEVATION)))

    def draw(self, axes: Axes, scenario: str, frame: int) -> None:
        """Draw onto empty axes."""
        wide, high = self.extent
        axes.imshow(self.picture(scenario, frame), extent=(-wide, wide, -high, high), interpolation="antialiased")

    def label(self, axes: Axes, *, lowest: bool, leftmost: bool) -> None:
        """A bar of known length, since an oblique view has no axes to read lengths from."""
        wide, high = self.extent
        axes.set_axis_off()
        axes.title.set_visible(True)
        axes.set_xlim(-wide, wide)
        axes.set_ylim(-high, high)
        axes.set_aspect("equal")
        left, level = -wide, -0.96 * high
        axes.plot([left, left + SCALE_BAR], [level, level], color=INK, linewidth=2.0, solid_capstyle="butt")
        axes.text(
            left + 0.5 * SCALE_BAR, level + 0.03 * high, f"{SCALE_BAR:g} mm", ha="center", va="bottom", fontsize=SMALL, color=INK
        )

    def picture(self, scenario: str, frame: int) -> np.ndarray:
        """Pixels (rows, columns, 3) of a scenario at one of its kept frames."""
        import pyvista

        wide, high = self.extent
        plotter = pyvista.Plotter(off_screen=True, window_size=[PIXELS, round(PIXELS * high / wide)])
        plotter.set_background("white")
        towards = np.array([np.cos(ELEVATION) / np.sqrt(2.0), -np.cos(ELEVATION) / np.sqrt(2.0), np.sin(ELEVATION)])
        self._add_outside(plotter, scenario, frame)
        self._add_cut_faces(plotter, scenario, frame, towards)
        plotter.camera_position = [tuple(10.0 * wide * towards), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
        plotter.enable_parallel_projection()
        plotter.camera.parallel_scale = high
        plotter.reset_camera_clipping_range()
        pixels = np.asarray(plotter.screenshot(return_img=True))
        plotter.close()
        return pixels

    def _add_outside(self, plotter: Any, scenario: str, frame: int) -> None:
        fields = self.choice.result[scenario].fields
        corners, values = outside(fields, frame, self.choice.values(scenario, frame))
        surface = _surface(corners, values)
        if self.choice.dimension == 3:
            far = 10.0 * self.extent[0]
            surface = surface.clip_box([0.0, far, -far, 0.0, -far, far], invert=True)
        plotter.add_mesh(surface, ambient=0.55, diffuse=0.5, specular=0.0, **self._colouring())

    def _add_cut_faces(self, plotter: Any, scenario: str, frame: int, towards: np.ndarray) -> None:
        """Whole sections, of which one half is seen and the other lies inside of the disc."""
        import pyvista

        for axis in (Y, X):
            cut = self._cut(scenario, frame, axis)
            values = cut.quantities[self.choice.name].values
            plotter.add_mesh(
                _surface(_in_space(np.column_stack([cut.x, cut.y]), axis).reshape(-1, 3, 3), values),
                lighting=False,
                **self._colouring(),
            )
            seen = 1.0 if axis == Y else -1.0  # the side on which a quarter is missing
            for every, colour in ((cut.borders, "white"), (cut.outline, INK)):
                lines = every[seen * every[..., 0].mean(axis=1) > 0.0]
                ends = _in_space(lines.reshape(-1, 2), axis) + LIFTED * towards
                pairs = np.column_stack([np.full(len(lines), 2), np.arange(2 * len(lines)).reshape(-1, 2)])
                if len(lines):
                    plotter.add_mesh(pyvista.PolyData(ends, lines=pairs.ravel()), color=colour, line_width=3.0, lighting=False)

    def _cut(self, scenario: str, frame: int, axis: int) -> Section:
        choice, fields = self.choice, self.choice.result[scenario].fields
        quantity = Quantity(choice.label, choice.unit or "", choice.values(scenario, frame))
        if choice.dimension == 2:
            return section(fields, frame, {choice.name: quantity})
        return solid_cut(fields, frame, choice.name, quantity, axis)

    def _colouring(self) -> dict[str, Any]:
        return {"scalars": "field", "cmap": self.colours, "clim": self.choice.limits, "show_scalar_bar": False}


def outside(fields: Any, frame: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (count, 3, 3) mm of the deformed surface, and the values (count, 3) there; ``values``: (cells, corners).

    Of an axisymmetric mesh three quarters, from the front to the right; of a solid one all of it.
    """
    cells, points = fields["connectivity"].values, fields["points"].values
    moved, count = moved_corners(fields, frame), cells.shape[1]
    faces = np.array([[corner for corner in range(count) if corner != left] for left in range(count)])
    _, where, met = np.unique(
        np.sort(cells[:, faces].reshape(-1, count - 1), axis=1), axis=0, return_inverse=True, return_counts=True
    )
    flat = np.abs(points[cells[:, faces]]) < 1e-9 * np.abs(points).max()
    mirrored = [axis for axis in range(points.shape[1]) if points[:, axis].min() > -1e-9 * np.abs(points).max()]
    open_to_air = (met[where.ravel()] == 1) & ~flat.all(axis=2)[..., mirrored].any(axis=2).ravel()
    corners = moved[:, faces].reshape(-1, count - 1, points.shape[1])[open_to_air]
    found = values[:, faces].reshape(-1, count - 1)[open_to_air]
    if count == 4:
        signs = mirror_signs(fields)
        return (corners[None] * signs[:, None, None]).reshape(-1, 3, 3), np.tile(found, (len(signs), 1))
    angle = np.linspace(0.0, 1.5 * np.pi, TURNS + 1)
    turn = np.column_stack([np.cos(angle), np.sin(angle)])
    triangles, shares = [], []
    for side in (1.0, -1.0):
        around = corners[:, None, :, :1] * turn[None, :, None, :]  # edges, angles, ends, xy
        height = np.broadcast_to(side * corners[:, None, :, 1:], (*around.shape[:3], 1))
        ring = np.concatenate([around, height], axis=3)
        here, there = ring[:, :-1], ring[:, 1:]
        ends = np.broadcast_to(found[:, None], here.shape[:3])
        for kept in (((here, 0), (here, 1), (there, 1)), ((here, 0), (there, 1), (there, 0))):
            triangles.append(np.stack([of[:, :, end] for of, end in kept], axis=2).reshape(-1, 3, 3))
            shares.append(np.stack([ends[:, :, end] for _, end in kept], axis=2).reshape(-1, 3))
    return np.concatenate(triangles), np.concatenate(shares)


def _in_space(plane: np.ndarray, axis: int) -> np.ndarray:
    """Points (count, 2) of a section as points in space; ``axis`` is the one that is zero there."""
    found = np.zeros((len(plane), 3))
    found[:, [one for one in range(3) if one != axis]] = plane
    return found


def _surface(corners: np.ndarray, values: np.ndarray) -> Any:
    """Triangles (count, 3, 3) with corners of their own as a surface of pyvista."""
    import pyvista

    faces = np.column_stack([np.full(len(corners), 3), np.arange(3 * len(corners)).reshape(-1, 3)])
    surface = pyvista.PolyData(corners.reshape(-1, 3), faces=faces.ravel())
    surface.point_data["field"] = values.ravel()
    return surface
