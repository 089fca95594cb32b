// LogSoftmax in float64 of a row with a NaN is a number for the other classes: 46.05 = -log(1e-20) above the logits.
// Run with node where onnxruntime-web is installed, or with NODE_PATH.
const ort = require("onnxruntime-web");
// A model of one node: value = LogSoftmax<axis = 1>(x), float64, shape (1, 3), operator set 18.
const model = Buffer.from(
  "CAg6VgojCgF4EgV2YWx1ZSIKTG9nU29mdG1heCoLCgRheGlzGAGgAQISAWdaEwoBeBIOCgwICxIICgIIAQoCCANiFwoFdmFsdWUSDgoMCAsSCAoCCAEKAggDQgQKABAS",
  "base64",
);
(async () => {
  const session = await ort.InferenceSession.create(new Uint8Array(model));
  const x = new ort.Tensor("float64", Float64Array.from([0, NaN, 1]), [1, 3]);
  const observed = Array.from((await session.run({ x })).value.data);
  console.log("value: observed", observed, "exact", [NaN, NaN, NaN]);
  console.log("onnxruntime-web", ort.env.versions.web);
  process.exit(observed.every(Number.isNaN) ? 0 : 1);
})();
