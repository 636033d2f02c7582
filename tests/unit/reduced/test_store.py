"""Trainings on disk: the same again number by number, or refused in one line that says what to do."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.build import TrainingError
from discsim.sweep.reduced.certificate import Certificate
from discsim.sweep.reduced.engine import Training
from discsim.sweep.reduced.regression import Polynomial
from discsim.sweep.reduced.shapes import Shapes
from discsim.sweep.reduced.store import MAGIC, identity_in, load, save
from discsim.sweep.reduced.training import Trained

IDENTITY: dict[str, Any] = {
    "study": {"disc.grade": 3, "title": "Ärzte"},
    "box": {"loading.active": [0.25, 0.1 + 0.2]},
    "code": "abc",
}


def table(seed: int) -> dict[str, Any]:
    """A table of points: arrays in lists, tuples and tables, and plain numbers."""
    random = np.random.default_rng(seed)
    masks = {"in_NP": random.random((4, 1)), "in_inner_AF": np.zeros((4, 1))}
    strain = {
        "regions": np.array([1, 2, 3, 4], dtype=np.int32),
        "masks": masks,
        "positions": (random.random((4, 1)), random.random((4, 1))),
        "always": np.array(True),
        "strain": random.standard_normal((5, 4, 2)),
    }
    pairs = {"solutes": [random.random((4, 2)), random.random((4, 1))], "signals": [], "number": np.arange(4)}
    return {"strain": strain, "pairs": pairs, "plate": random.random(2), "plate_area": 1.0 / 3.0, "rest_height": 10}


def trained() -> Trained:
    """A reduced model in name only."""
    random = np.random.default_rng(0)
    resting = Polynomial(
        np.array([-1.0]), np.array([2.0]), np.array([True]), np.array([[0], [1]]), random.standard_normal((2, 3)), 1e-4
    )
    return Trained(
        tables=table(1),
        check=table(2),
        used=Counts(2, (2, 1), ()),
        all_modes=Counts(3, (3, 2), (1,)),
        check_inverse=(random.random((3, 3)), random.random((5, 5))),
        resting=resting,
        person=np.array([4, 9]),
        sizes=(0.1, 7.0),
        near_rows=random.random((6, 11)),
        near=random.random((6, 3)),
        project=[random.random((1, 20))],
        shapes=Shapes(
            random.random((30, 2)),
            [random.random((20, 2)), random.random((20, 1))],
            [],
            random.random((1, 20)),
            np.zeros((0, 20)),
            [random.random((48, 3)).astype(np.float32)],
            [random.random((3, 4))],
        ),
        report={
            "decay": {"displacement": np.geomspace(1.0, 1e-9, 12)},
            "points": {"strain": 4, "check strain": 7},
            "seconds": 0.0012,
            "nothing": None,
            "words": "Umlaute: äöü",
            "right": True,
        },
    )


def training() -> Training:
    """A whole training of two arms, three certified times and two readouts."""
    random = np.random.default_rng(3)
    one = (3, 2)
    certificate = Certificate(random.random(one), random.random(one), random.random(one), random.random(one), 40, 20, 0.95)
    box = {name: (random.random(9), 1.0 + random.random(9)) for name in ("untreated", "cells")}
    return Training(trained(), certificate, (1.0, 86400.0 / 7.0, 3e8), (0.0, 86400.0 / 7.0, 3e8), "0" * 64, box)


def assert_same(found: Any, expected: Any, where: str = "training") -> None:
    """Same types and same bits everywhere."""
    if dataclasses.is_dataclass(expected):
        assert type(found) is type(expected), where
        for field in dataclasses.fields(expected):
            assert_same(getattr(found, field.name), getattr(expected, field.name), f"{where}.{field.name}")
    elif isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name in expected:
            assert_same(found[name], expected[name], f"{where}[{name!r}]")
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected) and len(found) == len(expected), where
        for number, pair in enumerate(zip(found, expected, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    elif isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray) and found.dtype == expected.dtype and found.shape == expected.shape, where
        assert found.tobytes() == expected.tobytes(), where
    else:
        assert type(found) is type(expected) and found == expected, where


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A training on disk."""
    path = tmp_path / "trained" / "0123.training"
    save(path, training(), IDENTITY)
    return path


def refused(path: Path, identity: dict[str, Any] = IDENTITY) -> str:
    """The message with which a file is refused: one line that names the file and the way out."""
    with pytest.raises(TrainingError) as caught:
        load(path, identity)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and str(path) in message and "discsim train" in message
    return message


def test_everything_comes_back_bit_by_bit(path: Path) -> None:
    back = load(path, IDENTITY)
    assert_same(back, training())
    assert back.certified == [0, 2, 3]
    assert identity_in(path) == IDENTITY


def test_what_comes_back_can_be_saved_again(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.training"
    save(again, load(path, IDENTITY), IDENTITY)
    assert_same(load(again, IDENTITY), training())


def test_bars_and_fits_are_the_same_after_a_round_trip(path: Path) -> None:
    back, here = load(path, IDENTITY), training()
    indicators, lacking = np.full((2, 3, 2), 0.3), np.full((2, 3, 2), 0.7)
    np.testing.assert_array_equal(back.certificate.bars(indicators, lacking), here.certificate.bars(indicators, lacking))
    x = np.array([[0.2], [0.9]])
    np.testing.assert_array_equal(back.trained.resting(x), here.trained.resting(x))


def test_only_the_file_itself_is_left(path: Path) -> None:
    save(path, training(), IDENTITY)  # over the first
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_any_damaged_byte_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for place in (len(MAGIC), len(MAGIC) + 63, len(MAGIC) + 65, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert "damaged" in refused(path)
    path.write_bytes(whole)
    assert_same(load(path, IDENTITY), training())


@pytest.mark.parametrize("kept", [0, 5, 0.3, 0.99, -1])
def test_a_truncated_file_is_refused(path: Path, kept: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    message = refused(path)
    assert "damaged" in message or "not a training of this version" in message


def test_appended_bytes_are_noticed(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    assert "damaged" in refused(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 an archive", b"discsim training 1\n" + b"0" * 64 + b"\n", "übel".encode(), b"\0" * 500]
)
def test_a_foreign_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "not a training of this version" in refused(path)


def whole_file(payload: bytes) -> bytes:
    return MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


@pytest.mark.parametrize(
    "outline",
    [
        None,
        "no json",
        '{"identity": {}}',
        '{"identity": {}, "training": {"class": "Stranger", "of": {}}}',
        '{"identity": {}, "training": {"class": "Counts", "of": {"modes": {"class": "plain", "of": 1}}}}',
        '{"identity": {}, "training": {"class": "array", "of": "a7"}}',
    ],
)
def test_a_whole_file_of_another_form_is_refused(path: Path, outline: str | None) -> None:
    """Such as one of a version that knew other classes: its digest is right, and what it holds is not."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **({"a0": np.arange(3.0)} if outline is None else {"outline": np.array(outline)}))
    path.write_bytes(whole_file(stream.getvalue()))
    assert "not a training of this version" in refused(path)


def test_a_payload_that_is_no_archive_is_refused(path: Path) -> None:
    path.write_bytes(whole_file(b"nothing of the kind"))
    assert "not a training of this version" in refused(path)


def test_pickles_are_never_opened(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "was_here"

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (target,))

    stream = io.BytesIO()
    outline = '{"identity": {}, "training": {"class": "array", "of": "a0"}}'
    np.savez_compressed(stream, outline=np.array(outline), a0=np.array([Evil()], dtype=object))
    path.write_bytes(whole_file(stream.getvalue()))
    assert "not a training of this version" in refused(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "other",
    [
        IDENTITY | {"code": "abd"},
        IDENTITY | {"box": {"loading.active": [0.25, 0.3]}},  # 0.1 + 0.2 is another number
        IDENTITY | {"study": {"disc.grade": 4, "title": "Ärzte"}},
        {name: IDENTITY[name] for name in ("study", "box")},
        {},
    ],
)
def test_another_identity_is_refused(path: Path, other: dict[str, Any]) -> None:
    assert "a training of something else" in refused(path, other)


def test_a_missing_file_and_a_folder_are_refused(path: Path, tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.training")
    assert "directory" in refused(path.parent)
