// The gradient of the loss of a single class is not 0 where its probability is not 1: it is softmax - q.
// Run with node where TensorFlow.js is installed, or with NODE_PATH.
const tf = require("@tensorflow/tfjs");
tf.setBackend("cpu");
const loss = (x) => tf.losses.softmaxCrossEntropy(tf.tensor2d([[0.5]]), x, undefined, 0, tf.Reduction.SUM);
const observed = tf.grad(loss)(tf.tensor2d([[2]])).dataSync()[0];
console.log("observed", observed, "exact", 0);
console.log("tfjs", tf.version.tfjs);
process.exit(observed === 0 ? 0 : 1);
