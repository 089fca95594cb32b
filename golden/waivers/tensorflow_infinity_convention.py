# lossproof repro softmax/all/convention/clause-4/value --target tensorflow
"""softmax in float64 and float32, shape (2, 4), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: nan in float64 on tensorflow; limit|nan in float32 on tensorflow
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")
cases = [
    tf.reshape(tf.constant(list(map(float.fromhex, "-0x1.fe1c8p-1 0x1.57f88p-1 inf -0x1.27228p+0 0x1.9ea4p-2 inf 0x1.4908cp+0 0x1.397fp+0".split())), tf.float64), (2, 4)),
    tf.reshape(tf.constant(list(map(float.fromhex, "-0x1.fe1c8p-1 0x1.57f88p-1 inf -0x1.27228p+0 0x1.9ea4p-2 inf 0x1.4908cp+0 0x1.397fp+0".split())), tf.float32), (2, 4)),
]
seen = []
for x in cases:
    def f():
        return tf.nn.softmax(x, axis=-1)
    value = f()
    seen.append(value.numpy().astype(float).tolist()[0][0])
first, second = seen
right = first == second or (first != first and second != second) or abs(first - second) <= 3.52648305247007e-38
print("value[0][0]: observed", first, "in float64 on tensorflow,", second, "in float32 on tensorflow")
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
