// What the packages of ONNX Runtime for JavaScript have in common: sessions of models with one node, and their tensors.
import { createRequire } from "node:module";
import { join } from "node:path";

import { kindsOf, modelOf } from "./onnx_model.mjs";
import { Refusal, serve, tensor } from "./wire.mjs";

const KEPT = 256;
const require = createRequire(join(process.cwd(), "_"));
// An exception by the words of ONNX Runtime's messages, as adapters/onnxruntime.py has them.
const MESSAGES = [
  [/NOT_IMPLEMENTED|Could not find an implementation/, "unsupported"],
  [/out of data bounds|must be within the inclusive range|out of bounds|Out of range value in index/, "bad_label"],
  [/reduction/, "bad_option"],
  [/shape|dimension/i, "bad_shape"],
  [/Type Error|data type/, "bad_dtype"],
  [/out of memory|allocation/i, "resource"],
];

/** The bits of a number that is one of float16. */
export function halfBits(number) {
  const sign = number < 0 || Object.is(number, -0) ? 0x8000 : 0, size = Math.abs(number);
  if (Number.isNaN(number)) return 0x7e00;
  if (size === Infinity) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  let power = Math.floor(Math.log2(size));
  power += size < 2 ** power ? -1 : size >= 2 ** (power + 1) ? 1 : 0;
  return sign | ((power + 15) << 10) | ((size / 2 ** power - 1) * 1024);
}

export function halfNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, rest = bits & 1023;
  if (power === 31) return rest ? NaN : sign * Infinity;
  return sign * (power ? (1 + rest / 1024) * 2 ** (power - 15) : rest * 2 ** -24);
}

const ENTRIES = {
  float64: (data) => Float64Array.from(data),
  float32: (data) => Float32Array.from(data),
  float16: (data) => Uint16Array.from(data, halfBits),
  int64: (data) => BigInt64Array.from(data, BigInt),
  int32: (data) => Int32Array.from(data, Number),
};

function numbersOf(result) {
  const { type, data } = result;
  return type === "float16" && data instanceof Uint16Array ? Float64Array.from(data, halfNumber) : Float64Array.from(data);
}

function load(name) {
  let path;
  try {
    path = require.resolve(name);
  } catch {
    throw new Error(`${name} is not found from ${process.cwd()}: npm install --ignore-scripts ${name}, and run there or set NODE_PATH to its node_modules`);
  }
  return require(path);
}

/** Serve one of the packages: { name, package, device, prepare }, the last of which gets what the package exports, and
 *  returns facts. */
export async function serveRuntime({ name, package: from, device, prepare = () => ({}) }) {
  const sessions = new Map();
  let ort;
  const sessionOf = async (model) => {
    const key = model.toString("base64");
    let session = sessions.get(key);
    sessions.delete(key);
    session ??= await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: [device], logSeverityLevel: 4 });
    sessions.set(key, session);
    if (sessions.size > KEPT) {
      const [[oldest, unused]] = sessions;
      sessions.delete(oldest);
      await unused.release();
    }
    return session;
  };
  const native = (note, ...targets) => ({ how: "native", targets, note });
  await serve({
    name,
    capabilities: {
      ops: {
        softmax: native("Softmax", "index"),
        log_softmax: native("LogSoftmax", "index"),
        nll_loss: native("NegativeLogLikelihoodLoss", "index"),
        cross_entropy: native("SoftmaxCrossEntropyLoss", "index"),
      },
      dtypes: ["float64", "float32", "float16"],
      devices: [device],
      modes: ["eager"],
      outputs: ["value"],
      compile_cost: "cheap",
      // The bodies of the losses gather, and ONNX's indices count from the end where they are negative.
      wraps_negative_labels: true,
    },
    open() {
      ort = load(from);
      ort.env.logLevel = "fatal";
      const facts = prepare(ort);
      return { versions: { [name]: ort.env.versions[from.split("-").at(-1)], node: process.versions.node }, facts };
    },
    async evaluate(problem) {
      const feeds = Object.entries(kindsOf(problem)).map(([key, kind]) => {
        const { data, shape } = problem[key];
        return [key, new ort.Tensor(kind, ENTRIES[kind](data), shape)];
      });
      const model = modelOf(problem);
      try {
        const { value } = await (await sessionOf(model)).run(Object.fromEntries(feeds));
        return { value: tensor(numbersOf(value), value.dims, value.type) };
      } catch (error) {
        const text = String(error.message ?? error);
        throw new Refusal(MESSAGES.find(([words]) => words.test(text))?.[1] ?? "internal", text);
      }
    },
  });
}
