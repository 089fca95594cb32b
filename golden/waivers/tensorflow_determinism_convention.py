# lossproof repro cross_entropy/all/convention/clause-3/vjp --target tensorflow --target tensorflow+deterministic
"""cross_entropy in float32, shape (1, 3), with tensorflow alone: the gradient of targets of another sum than 1."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: [-0.40996941924095154, -0.3874617815017700]
import tensorflow as tf

tf.config.set_visible_devices([], "GPU")
x = tf.constant([[1.0, 2.0, 3.0]], tf.float32)
target = tf.constant([[0.5, 0.25, 0.5]], tf.float32)

def gradient():
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=x)
    return float(tape.gradient(value, x).numpy()[0, 0])

observed = [gradient()]
tf.config.experimental.enable_op_determinism()
observed.append(gradient())
# p - q and Q p - q with Q = 1.25, p = exp(-2) / (1 + exp(-1) + exp(-2)): either is right, one of them everywhere.
exact = [-0.40996942, -0.38746178]
print("vjp[0, 0]: observed without and with determinism", observed, "exact", exact, "expected the same")
print("tensorflow", tf.__version__)
raise SystemExit(0 if abs(observed[0] - observed[1]) < 1e-6 else 1)
