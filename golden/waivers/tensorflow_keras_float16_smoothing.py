# lossproof repro cross_entropy/float16/equal/n1-k70000-none-q-ls0.1/3e7f5145 --target tensorflow+keras
"""cross_entropy in float16, shape (1, 70000), with tensorflow alone. Row losses of tf.keras.losses."""
# Observed with tensorflow 2.15.1, numpy 1.26.4, python 3.11.7: 10.0390625
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant([-3.0] * 70000, tf.float16), (1, 70000))
target = tf.reshape(tf.constant(list(map(float.fromhex, ["0x0p+0"] * 2243 + "0x1.dp-3".split() + ["0x0p+0"] * 11665 + "0x1.ap-4".split() + ["0x0p+0"] * 11665 + "0x1.2p-2".split() + ["0x0p+0"] * 11665 + "0x1.1p-3".split() + ["0x0p+0"] * 11665 + "0x1.ep-4".split() + ["0x0p+0"] * 11669 + "0x1.2p-3".split() + ["0x0p+0"] * 9422)), tf.float16), (1, 70000))

def f():
    t2 = tf.cast(tf.keras.losses.categorical_crossentropy(target, x, from_logits=True, label_smoothing=0.1), tf.float32)
    return tf.cast(t2, tf.float16)

value = f()
observed = value.numpy().astype(float).tolist()[0]
exact, allowed = [11.156250520937002, 11.156250521125989], 0.3943251190601438
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
