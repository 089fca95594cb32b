// The loss beside a class that is masked at -inf is NaN: its probability target 0 is multiplied with its -inf.
// Run with node where TensorFlow.js is installed, or with NODE_PATH.
const tf = require("@tensorflow/tfjs");
tf.setBackend("cpu");
const loss = tf.losses.softmaxCrossEntropy(tf.tensor2d([[0, 0, 1]]), tf.tensor2d([[0, -Infinity, 1]]));
const observed = loss.dataSync()[0], exact = Math.log(1 + Math.exp(-1)), allowed = 4e-7;
console.log("observed", observed, "exact", exact, "allowed error", allowed);
console.log("tfjs", tf.version.tfjs);
process.exit(Math.abs(observed - exact) <= allowed ? 0 : 1);
