// ONNX Runtime Web: the operators of ONNX as models of one node, in WebAssembly.
import { serveRuntime } from "./onnxruntime_sessions.mjs";

await serveRuntime({
  name: "onnxruntime_web",
  package: "onnxruntime-web",
  device: "wasm",
  prepare(ort) {
    // One thread, as of other targets: how many there are changes bits.
    ort.env.wasm.numThreads = 1;
    return { threads: "1" };
  },
});
