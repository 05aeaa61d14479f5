import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.naas.network.images import CIFAR_BYTES, read_images


def test_digits_are_split_by_class_and_normalised():
    images = read_images("digits")
    assert images.train.shape[1:] == (1, 8, 8) and len(images.train) + len(images.validation) == 1797
    assert images.train.mean() == pytest.approx(0, abs=1e-4) and images.train.std() == pytest.approx(1, abs=1e-4)
    assert set(images.validation_labels) == set(range(10))
    again = read_images("digits")
    assert np.array_equal(images.validation, again.validation)
    other = read_images("digits", seed=1)
    assert not np.array_equal(images.validation_labels, other.validation_labels)


def records(count: int, seed: int = 0) -> bytes:
    content = np.random.default_rng(seed).integers(0, 256, (count, CIFAR_BYTES), dtype=np.uint8)
    content[:, 0] = np.arange(count) % 10
    return content.tobytes()


def test_cifar_binary_files_are_read_in_their_layout(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(records(40))
    (tmp_path / "test_batch.bin").write_bytes(records(20, 1))
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij"))
    images = read_images(str(tmp_path))
    assert images.train.shape[1:] == (3, 32, 32) and len(images.train) + len(images.validation) == 60
    assert images.classes == tuple("abcdefghij")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "0 bytes"), (records(20)[:-5], "no whole number"), (bytes([11]) + records(1)[1:], "label is 11")],
)
def test_broken_cifar_files_are_refused(tmp_path, content, words):
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_images(str(tmp_path))


def test_pickled_cifar_is_not_read(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="binary version"):
        read_images(str(tmp_path))


def picture(path, seed):
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(exist_ok=True)
    image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)).save(path)


def test_a_folder_of_pictures_a_class(tmp_path):
    for number in range(6):
        picture(tmp_path / "cats" / f"{number}.png", number)
        picture(tmp_path / "dogs" / f"{number}.png", 100 + number)
    images = read_images(str(tmp_path), size=16)
    assert images.classes == ("cats", "dogs") and images.train.shape[1:] == (3, 16, 16)
    assert len(images.validation) == 2


def test_a_class_without_pictures_and_a_file_that_is_none_are_refused(tmp_path):
    picture(tmp_path / "cats" / "0.png", 0)
    picture(tmp_path / "cats" / "1.png", 1)
    (tmp_path / "dogs").mkdir()
    with pytest.raises(InputError, match="class 'dogs' has 0 images"):
        read_images(str(tmp_path))
    (tmp_path / "dogs" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no picture can be read"):
        read_images(str(tmp_path))


def test_an_unknown_name_says_what_is_expected():
    with pytest.raises(InputError, match="expected digits, mnist, or a folder"):
        read_images("imagenet")
