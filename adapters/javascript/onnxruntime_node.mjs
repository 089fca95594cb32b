// ONNX Runtime for Node: the operators of ONNX as models of one node, on the CPU.
import { serveRuntime } from "./onnxruntime_sessions.mjs";

await serveRuntime({ name: "onnxruntime_node", package: "onnxruntime-node", device: "cpu" });
