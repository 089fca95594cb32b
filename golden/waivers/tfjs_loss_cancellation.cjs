// The loss of logits that share an offset is off by the rounding of the offset: it is logsumexp(x) - x.
// Run with node where TensorFlow.js is installed, or with NODE_PATH.
const tf = require("@tensorflow/tfjs");
tf.setBackend("cpu");
const loss = tf.losses.softmaxCrossEntropy(tf.tensor2d([[1, 0]]), tf.tensor2d([[10000, 10001]]));
const observed = loss.dataSync()[0], exact = Math.log(1 + Math.E), allowed = 1.1e-6;
console.log("observed", observed, "exact", exact, "allowed error", allowed);
console.log("tfjs", tf.version.tfjs);
process.exit(Math.abs(observed - exact) <= allowed ? 0 : 1);
