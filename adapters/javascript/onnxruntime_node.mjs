// ONNX Runtime for Node: the operators of ONNX as models of one node, on the CPU and on WebGPU.
import { find, require, versionOf } from "./browser.mjs";
import { modelOf } from "./onnx_model.mjs";
import { KEPT, runner, serveRuntime, SHADERS } from "./onnxruntime_sessions.mjs";

const PACKAGE = "onnxruntime-node";

await serveRuntime({
  name: "onnxruntime_node",
  devices: ["cpu", "webgpu"],
  offered: { by_device: { webgpu: SHADERS } },
  async connect(device) {
    const ort = require(find(PACKAGE, PACKAGE));
    ort.env.logLevel = "fatal";
    const run = runner(ort, device, KEPT);
    // It throws where there is no such device.
    const x = { dtype: "<f8", shape: [2] };
    await run(modelOf({ op: "softmax", dtype: "float32", x }).toString("base64"), [["x", "float32", new Float32Array(2), x.shape]]);
    return { versions: { onnxruntime_node: versionOf(PACKAGE) }, facts: { provider: device }, run };
  },
});
