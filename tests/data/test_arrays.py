"""Arrays by input name from files and folders: what is read, and what is refused."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.data import DataSet, InputSpec, open_data
from onnx2snn.errors import InputError

SPEC = InputSpec("image", np.dtype(np.float32), (1, 2, 3))
X = np.arange(7 * 6, dtype=np.float32).reshape(7, 1, 2, 3)
Y = np.arange(7) % 3


def read(data: DataSet, size: int, **limits: int) -> tuple[np.ndarray, list[int]]:
    batches = list(data.batches(size, **limits))
    return np.concatenate([batch.inputs["image"] for batch in batches]), [batch.start for batch in batches]


def save_npz(path: Path, *, compressed: bool = False, **arrays: np.ndarray) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same samples in every form that can be read."""
    folder = tmp_path_factory.mktemp("sources")
    np.save(folder / "only.npy", X)
    save_npz(folder / "stored.npz", image=X, labels=Y, expected_out=Y)
    save_npz(folder / "packed.npz", compressed=True, image=X, labels=Y)
    save_npz(folder / "fortran.npz", image=np.asfortranarray(X), labels=Y)
    for name in ("shards", "arrays", "columns"):
        (folder / name).mkdir()
    for number, part in enumerate((slice(0, 3), slice(3, 4), slice(4, 7))):
        save_npz(folder / "shards" / f"{number}.npz", image=X[part], labels=Y[part])
        np.save(folder / "arrays" / f"part{number}.npy", X[part])
    np.save(folder / "arrays" / "labels.npy", Y)
    np.save(folder / "columns" / "image.npy", X)
    np.save(folder / "columns" / "labels.npy", Y)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name", ["only.npy", "stored.npz", "packed.npz", "fortran.npz", "shards", "arrays", "columns"]
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_every_form_gives_the_same_samples(sources: dict[str, Path], name: str, size: int) -> None:
    data = open_data(sources[name], [SPEC])
    values, starts = read(data, size)
    assert len(data) == 7
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, X)
    assert starts == list(range(0, 7, size))
    if name != "only.npy":
        np.testing.assert_array_equal(data.labels, Y)


@pytest.mark.parametrize("name", ["only.npy", "stored.npz", "packed.npz", "fortran.npz", "shards", "arrays"])
@given(start=st.integers(0, 8), stop=st.integers(0, 9), size=st.integers(1, 8))
def test_any_range_is_what_slicing_gives(
    sources: dict[str, Path], name: str, start: int, stop: int, size: int
) -> None:
    data = open_data(sources[name], [SPEC])
    batches = list(data.batches(size, start=start, stop=stop))
    got = np.concatenate([batch.inputs["image"] for batch in batches]) if batches else X[:0]
    np.testing.assert_array_equal(got, X[start:stop])


def test_a_mapping_and_an_open_data_set_are_data() -> None:
    data = open_data({"image": X, "labels": Y.tolist()}, [SPEC])
    assert open_data(data) is data
    np.testing.assert_array_equal(read(data, 4)[0], X)
    np.testing.assert_array_equal(data.labels, Y)


def test_without_a_model_every_array_is_an_input(tmp_path: Path) -> None:
    data = open_data(save_npz(tmp_path / "d.npz", a=X, b=Y, labels=Y))
    assert list(data.inputs) == ["a", "b"]
    assert data.inputs["b"].shape == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.bool_, np.dtype(">f4")])
def test_types_that_fit_exactly_are_converted(dtype: type) -> None:
    values, _ = read(open_data({"image": X.astype(dtype)}, [SPEC]), 3)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, X.astype(dtype).astype(np.float32))


def test_dynamic_sizes_fit_anything() -> None:
    spec = InputSpec("image", np.dtype(np.float32), (1, None, None))
    assert len(open_data({"image": X}, [spec])) == 7
    assert len(open_data({"image": X}, [InputSpec("image", np.dtype(np.float32), None)])) == 7


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"one": X, "two": X}, "has no array 'image'"),
        ({"labels": Y}, "has no array 'image'"),
        ({"image": X.reshape(7, 6)}, "does not have the model's shape"),
        ({"image": X[:, :, :1]}, "does not have the model's shape"),
        ({"image": X, "labels": Y[:5]}, "different numbers of samples"),
        ({"image": X[:0]}, "samples"),
        ({"image": X.astype(np.complex64)}, "numeric"),
        ({"image": X.astype(object)}, "pickled Python objects|numeric"),
    ],
)
@pytest.mark.parametrize("on_disk", [False, True])
def test_what_does_not_fit_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str, on_disk: bool
) -> None:
    source = save_npz(tmp_path / "d.npz", **arrays) if on_disk else arrays
    with pytest.raises(InputError, match=message):
        open_data(source, [SPEC])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_names_its_sample(bad: float) -> None:
    values = X.copy()
    values[4, 0, 1, 1] = bad
    batches = open_data({"image": values}, [SPEC]).batches(3)
    next(batches)
    with pytest.raises(InputError, match="sample 4"):
        next(batches)


@pytest.mark.parametrize("labels", [np.eye(7), np.linspace(0, 1, 7), np.eye(7, dtype=np.int64)])
def test_labels_are_class_numbers(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="not class numbers"):
        _ = open_data({"image": X, "labels": labels}, [SPEC]).labels


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(InputError, match="rename 'images' to 'image'"):
        open_data({"images": X, "other": X}, [SPEC])
    with pytest.raises(InputError, match="rename the one that is the model's input to 'image': a, b"):
        open_data({"a": X, "b": X, "c": X[:, 0]}, [SPEC])


def damaged(folder: Path) -> dict[str, bytes]:
    """Files that lie about what they hold."""
    good = save_npz(folder / "good.npz", compressed=True, image=X).read_bytes()
    array = io.BytesIO()
    np.save(array, X)
    plain = array.getvalue()
    return {
        "empty.npz": b"",
        "empty.npy": b"",
        "text.npz": b"not an archive",
        "text.npy": b"not an array, but long enough",
        "cut.npz": good[: len(good) // 2],
        "cut.npy": plain[:-10],
        "flipped.npz": good[:80] + bytes(b ^ 255 for b in good[80:120]) + good[120:],
        "huge_header.npy": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"x" * 100,
        "bad_header.npy": plain[:10] + b"?" * 20 + plain[30:],
        "fewer.npy": plain.replace(b"(7,", b"(9,"),
    }


@pytest.mark.parametrize(
    "name",
    [f"{fault}.{kind}" for fault in ("empty", "text", "cut") for kind in ("npz", "npy")]
    + ["flipped.npz", "huge_header.npy", "bad_header.npy", "fewer.npy"],
)
def test_damaged_files_are_input_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(damaged(tmp_path)[name])
    with pytest.raises(InputError):
        list(open_data(path, [SPEC]).batches(2))


@pytest.mark.parametrize("name", ["missing.npz", "missing", "data.csv"])
def test_a_missing_or_foreign_file_is_an_input_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(InputError):
        open_data(tmp_path / name, [SPEC])


def test_an_empty_folder_says_what_could_be_in_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder of images by class"):
        open_data(tmp_path, [SPEC])


def test_shards_must_agree(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", image=X, labels=Y)
    save_npz(tmp_path / "b.npz", image=X)
    with pytest.raises(InputError, match=r"a\.npz and b\.npz hold different arrays"):
        open_data(tmp_path, [SPEC])


def test_a_member_that_explodes_is_refused_before_it_does(tmp_path: Path) -> None:
    rows = 1 << 22
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (rows, 1, 4, 8)}
    )
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("image.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(rows * 128 // (1 << 24)):
            member.write(bytes(1 << 24))
    with pytest.raises(InputError, match="decompressed"):
        open_data(path, [InputSpec("image", np.dtype(np.float32), (1, 4, 8))])


def test_memory_holds_one_batch(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "d.npz", compressed=True, image=np.ones((2000, 1, 64, 64), np.float32))
    data = open_data(path, [InputSpec("image", np.dtype(np.float32), (1, 64, 64))])
    tracemalloc.start()
    for batch in data.batches(10):
        assert len(batch) == 10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 64 * 64 * 4 * 8


def test_the_fingerprint_follows_the_file(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "d.npz", image=X)
    before = open_data(path, [SPEC]).fingerprint
    assert open_data(path, [SPEC]).fingerprint == before
    save_npz(path, image=X[:5])
    assert open_data(path, [SPEC]).fingerprint != before
