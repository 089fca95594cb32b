// ONNX Runtime Web: the operators of ONNX as models of one node, in WebAssembly, and in a browser on WebGPU.
import { dirname, join } from "node:path";

import { find, openPage, require, versionOf } from "./browser.mjs";
import { KEPT, runner, serveRuntime, SHADERS } from "./onnxruntime_sessions.mjs";

const PACKAGE = "onnxruntime-web";

function inNode(device) {
  const ort = require(find(PACKAGE, PACKAGE));
  ort.env.logLevel = "fatal";
  // One thread, as of other targets: how many there are changes bits.
  ort.env.wasm.numThreads = 1;
  return { versions: {}, facts: { threads: "1" }, run: runner(ort, device, KEPT) };
}

async function inBrowser(device) {
  const folder = dirname(find(PACKAGE, `${PACKAGE} playwright-core`));
  const served = (name) => (/^ort[\w.-]+$/.test(name) ? join(folder, name) : undefined);
  const { page, browser, flags } = await openPage(`${PACKAGE} playwright-core`, served);
  await page.addScriptTag({ path: join(folder, "ort.webgpu.min.js") });
  await page.addScriptTag({ content: `${runner}\nwindow.runner = runner;` });
  const renderer = await page.evaluate(async ([provider, kept]) => {
    window.ort.env.logLevel = "fatal";
    window.ort.env.wasm.wasmPaths = "/";
    window.ort.env.wasm.numThreads = 1;
    window.run = window.runner(window.ort, provider, kept);
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw new Error("there is no WebGPU here");
    const { vendor, architecture, device, description } = adapter.info;
    return [vendor, architecture, device, description].filter((word) => word).join(" ");
  }, [device, KEPT]);
  // Arrays travel as the text of their bytes: numbers of JSON lose NaN and infinities.
  const run = async (model, inputs) => {
    const sent = inputs.map(([name, kind, data, shape]) => [name, kind, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"), shape]);
    const { data, ...found } = await page.evaluate(async ([text, given]) => {
      const arrays = { float64: Float64Array, float32: Float32Array, float16: Uint16Array, int64: BigInt64Array, int32: Int32Array };
      const unpacked = ([name, kind, packed, shape]) => [name, kind, new arrays[kind](Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)).buffer), shape];
      const value = await window.run(text, given.map(unpacked));
      return { type: value.type, dims: value.dims, data: Array.from(value.data, (v) => String(Object.is(v, -0) ? "-0" : v)) };
    }, [model, sent]);
    return { ...found, data: Float64Array.from(data, Number) };
  };
  return { versions: { chromium: browser }, facts: { renderer, flags, threads: "1" }, run };
}

await serveRuntime({
  name: "onnxruntime_web",
  devices: ["wasm"],
  offered: {
    modes: ["node", "browser"],
    by_mode: { browser: { devices: ["webgpu"], dtypes: ["float32"], ...SHADERS } },
  },
  async connect(device, mode) {
    const { versions, facts, run } = await (mode === "browser" ? inBrowser : inNode)(device);
    return { versions: { onnxruntime_web: versionOf(PACKAGE), ...versions }, facts, run };
  },
});
