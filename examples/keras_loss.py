"""A loss written with Keras: the framework is that of its backend."""

import keras

from lossproof import check_implementation


class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of labels, from logits."""

    def call(self, y_true, y_pred):
        """Return the loss of each row."""
        shifted = y_pred - keras.ops.max(y_pred, axis=-1, keepdims=True)
        log_sum = keras.ops.log(keras.ops.sum(keras.ops.exp(shifted), axis=-1))
        label = keras.ops.take_along_axis(shifted, keras.ops.cast(y_true, "int32")[..., None], axis=-1)
        return log_sum - label[..., 0]


ASKED = {"ranks": (2,), "targets": ("index",), "dtypes": ("float32",), "deck": "smoke", "errors": False}

if __name__ == "__main__":
    print(check_implementation(CrossEntropy(), op="cross_entropy", **ASKED))
