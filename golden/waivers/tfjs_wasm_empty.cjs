// On the backend wasm the sum of no losses is what the memory held before, and no axis of an empty tensor is moved.
// Run with node where TensorFlow.js is installed, or with NODE_PATH.
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
const { dirname } = require("node:path");
wasm.setWasmPaths(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")) + "/");
tf.setBackend("wasm").then(async () => {
  tf.dispose(tf.fill([64], 3.5));
  const none = tf.zeros([0, 4]);
  const observed = (await tf.losses.softmaxCrossEntropy(none, none, undefined, 0, tf.Reduction.SUM).data())[0];
  console.log("sum: observed", observed, "exact", 0);
  let moved = "an empty tensor";
  try {
    await tf.transpose(tf.zeros([0, 4, 2]), [0, 2, 1]).data();
  } catch (error) {
    moved = error.message;
  }
  console.log("transpose: observed", moved, "exact an empty tensor");
  console.log("tfjs", tf.version.tfjs);
  process.exit(observed === 0 && moved === "an empty tensor" ? 0 : 1);
});
