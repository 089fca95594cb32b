// The mean of the losses of no rows is 0, and not NaN.
// Run with node where TensorFlow.js is installed, or with NODE_PATH.
const tf = require("@tensorflow/tfjs");
tf.setBackend("cpu");
const none = tf.zeros([0, 4]);
const observed = tf.losses.softmaxCrossEntropy(none, none, undefined, 0, tf.Reduction.MEAN).dataSync()[0];
console.log("observed", observed, "exact", NaN);
console.log("tfjs", tf.version.tfjs);
process.exit(Number.isNaN(observed) ? 0 : 1);
