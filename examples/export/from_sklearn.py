"""scikit-learn: train an MLPClassifier, export it through skl2onnx, quantise its ReLUs by calibration, convert, verify.

    pip install onnx2snn scikit-learn skl2onnx
    python examples/export/from_sklearn.py

scikit-learn trains in floating point, so the quantised network is made after training: ``onnx2snn.calibrate`` chooses the
thresholds by some data. What is lossless is the step from the quantised network to the spiking one; calibration itself costs
a little accuracy, which the last lines show.
"""

from __future__ import annotations

import numpy as np
from digits import convert_and_verify, folder_from_command_line, load_digits
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier

import onnx2snn


def main() -> None:
    folder = folder_from_command_line(__doc__)
    images, labels, test_images, test_labels = load_digits()
    images, test_images = (each.reshape(len(each), -1) for each in (images, test_images))
    classifier = MLPClassifier((64, 32), max_iter=60, tol=1e-2, random_state=0).fit(images, labels)
    path = folder / "sklearn_float.onnx"
    # zipmap=False: probabilities come as an array, not as a list of dictionaries.
    model = to_onnx(classifier, images[:1], options={"zipmap": False})
    path.write_bytes(model.SerializeToString())
    quantised = folder / "sklearn.onnx"
    onnx2snn.calibrate(path, {"X": images}, timesteps=4).save(quantised)
    print(f"accuracy before calibration: {np.mean(classifier.predict(test_images) == test_labels):.1%}")
    convert_and_verify(quantised, test_images, test_labels, input_name="X")


if __name__ == "__main__":
    main()
