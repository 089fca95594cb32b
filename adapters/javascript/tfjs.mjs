// TensorFlow.js: in Node on the backends cpu and wasm, in a browser without a window on webgl and webgpu.
// Packages are those that Node finds from the folder in which it runs, or in NODE_PATH.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { find as findIn, openPage, require, versionOf } from "./browser.mjs";
import * as ops from "./tfjs_ops.mjs";
import { Refusal, serve, tensor, wants } from "./wire.mjs";

const PACKAGES = "@tensorflow/tfjs @tensorflow/tfjs-backend-wasm @tensorflow/tfjs-backend-webgpu playwright-core";
const find = (name) => findIn(name, PACKAGES);

let compute;

async function inNode(backend) {
  const tf = require(find("@tensorflow/tfjs"));
  const versions = { tfjs: versionOf("@tensorflow/tfjs") };
  if (backend === "wasm") {
    const wasm = require(find("@tensorflow/tfjs-backend-wasm"));
    wasm.setWasmPaths(join(dirname(find("@tensorflow/tfjs-backend-wasm")), "/"));
    versions["tfjs-backend-wasm"] = wasm.version_wasm;
  }
  const facts = await ops.chosen(tf, backend);
  compute = (problem) => ops.computed(tf, backend, problem);
  return { versions, facts };
}

async function inBrowser(backend) {
  const { page, browser, flags } = await openPage(PACKAGES);
  await page.addScriptTag({ path: join(dirname(find("@tensorflow/tfjs")), "tf.min.js") });
  if (backend === "webgpu") {
    await page.addScriptTag({ path: join(dirname(find("@tensorflow/tfjs-backend-webgpu")), "tf-backend-webgpu.min.js") });
  }
  const text = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "tfjs_ops.mjs"), "utf8");
  await page.addScriptTag({ content: `${text.replaceAll(/^export /gm, "")}\nObject.assign(window, { chosen, computed });` });
  // Arrays travel as the text of their bytes: numbers of JSON lose NaN, infinities and time.
  await page.evaluate(() => {
    const bytesOf = (a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
    window.packed = (a) => btoa(bytesOf(Float32Array.from(a)).reduce((s, b) => s + String.fromCharCode(b), ""));
    window.unpacked = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  });
  const facts = await page.evaluate((name) => window.chosen(window.tf, name), backend);
  const versions = { tfjs: versionOf("@tensorflow/tfjs"), chromium: browser };
  const packed = (a) => a && { shape: a.shape, data: Buffer.from(a.data.buffer, a.data.byteOffset, a.data.byteLength).toString("base64") };
  compute = async (problem) => {
    const { x, target, weight, cotangent } = problem;
    const sent = { ...problem, x: packed(x), target: packed(target), weight: packed(weight), cotangent: packed(cotangent) };
    const found = await page.evaluate(async ([name, p]) => {
      for (const a of [p.x, p.target, p.weight, p.cotangent]) if (a) a.data = window.unpacked(a.data);
      try {
        const out = await window.computed(window.tf, name, p);
        for (const a of Object.values(out)) a.data = window.packed(a.data);
        return { out };
      } catch (error) {
        return { kind: error.kind ?? null, message: String(error.message ?? error) };
      }
    }, [backend, sent]);
    if (!found.out) throw Object.assign(new Error(found.message), found.kind ? { kind: found.kind } : {});
    for (const a of Object.values(found.out)) a.data = new Float32Array(Uint8Array.from(Buffer.from(a.data, "base64")).buffer);
    return found.out;
  };
  return { versions, facts: { ...facts, flags } };
}

/** An exception of TensorFlow.js by its words. */
function kindOf(error) {
  const text = String(error.message);
  if (/context (was )?lost|device (was )?lost|Target (page|closed)|crashed/i.test(text)) return "crash";
  if (/out of memory|allocation/i.test(text)) return "resource";
  return /shape|rank|size|dimension/i.test(text) ? "bad_shape" : "internal";
}

const SHADERS = new Map(["softmax", "log_softmax", "cross_entropy"].map((op) => [[op, "float32"], "S"]));
const float32 = (a) => a && { shape: a.shape, data: Float32Array.from(a.data) };

await serve({
  name: "tfjs",
  capabilities: {
    ops: {
      softmax: { how: "native", note: "tf.softmax; another axis than the last by tf.transpose" },
      log_softmax: { how: "native", note: "tf.logSoftmax; another axis than the last by tf.transpose" },
      nll_loss: { how: "composed", targets: ["index"], note: "TensorFlow.js has no NLL of log-probabilities" },
      cross_entropy: {
        how: "native",
        note: "row losses of tf.losses.softmaxCrossEntropy on matrices; label weights, ignored rows and reductions composed; " +
          "weighted smoothing and weighted probabilities composed from tf.logSoftmax",
      },
    },
    dtypes: ["float32"],
    devices: ["cpu", "wasm"],
    modes: ["node", "browser"],
    ranks: [1, 2, 3, 4, 5, 6],
    // Shaders promise what their languages do (docs/bounds.md, profile S).
    by_mode: { browser: { devices: ["webgl", "webgpu"], compile_cost: "cheap", profiles: SHADERS } },
  },
  async open(device, mode) {
    const { versions, facts } = await (mode === "browser" ? inBrowser : inNode)(device);
    return { versions: { ...versions, node: process.versions.node }, facts };
  },
  async evaluate(problem) {
    const { target, ignore_index: ignore } = problem;
    const hasLabels = target && target.dtype !== "<f8";
    const labels = hasLabels ? Array.from(target.data, Number) : undefined;
    const ignored = hasLabels ? Array.from(target.data, (y) => ignore !== undefined && BigInt(y) === BigInt(ignore)) : undefined;
    const asked = {
      op: problem.op,
      axis: problem.axis ?? -1,
      reduction: problem.reduction ?? "mean",
      smoothing: problem.label_smoothing ?? 0,
      labels,
      ignored,
      wants: ["value", "vjp"].filter((name) => wants(problem, name)),
      x: float32(problem.x),
      target: hasLabels ? undefined : float32(target),
      weight: float32(problem.weight),
      cotangent: float32(problem.cotangent),
    };
    let found;
    try {
      found = await compute(asked);
    } catch (error) {
      const kind = error.kind ?? kindOf(error);
      throw new Refusal(kind, error.message, { last: kind === "crash" });
    }
    return Object.fromEntries(Object.entries(found).map(([name, a]) => [name, tensor(a.data, a.shape, a.dtype)]));
  },
});
