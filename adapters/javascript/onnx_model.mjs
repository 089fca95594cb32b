// Models of ONNX with one node, as bytes: what adapters of its runtimes in JavaScript ask for.
import { Refusal } from "./wire.mjs";

const OPERATORS = {
  softmax: "Softmax",
  log_softmax: "LogSoftmax",
  nll_loss: "NegativeLogLikelihoodLoss",
  cross_entropy: "SoftmaxCrossEntropyLoss",
};
// As adapters/onnx_models.py has them, with the numbers that the format gives to dtypes and attributes.
const OPSET = 18, FORMAT = 8;
const TYPES = { float32: 1, int32: 6, int64: 7, float16: 10, float64: 11 };
const INT = 2, STRING = 3;

function varint(number) {
  let rest = BigInt.asUintN(64, BigInt(number));
  const bytes = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

/** A field of a message of protocol buffers: an integer, a text or the bytes of another message. */
function field(number, value) {
  if (typeof value === "number" || typeof value === "bigint") return Buffer.concat([varint(number << 3), varint(value)]);
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

const message = (...fields) => Buffer.concat(fields.map(([number, value]) => field(number, value)));

function valueInfo(name, dtype, shape) {
  const dims = shape.map((n) => [1, message([1, n])]);
  return message([1, name], [2, message([1, message([1, TYPES[dtype]], [2, message(...dims)])])]);
}

/** The dtypes of a problem's arrays, which are the model's inputs. */
export function kindsOf(problem) {
  const names = ["x", "target", "weight"].filter((name) => problem[name]);
  const own = (a) => ({ "<i8": "int64", "<i4": "int32" })[a.dtype] ?? problem.dtype;
  return Object.fromEntries(names.map((name) => [name, own(problem[name])]));
}

/** The model of a problem with inputs of these dtypes. Throws a Refusal for what the operators have no option for. */
export function modelOf(problem, kinds = kindsOf(problem)) {
  const { op, x, axis: given = -1, reduction = "mean", ignore_index: ignore } = problem;
  const isLoss = op === "nll_loss" || op === "cross_entropy", rank = x.shape.length;
  const axis = given < 0 ? given + rank : given;
  if (isLoss && (rank < 2 || axis !== 1)) throw new Refusal("unsupported", "ONNX's losses take classes on axis 1 only");
  if (problem.label_smoothing) throw new Refusal("unsupported", "ONNX's losses have no label smoothing");
  const attributes = isLoss ? [message([1, "reduction"], [4, reduction], [20, STRING])] : [message([1, "axis"], [3, axis], [20, INT])];
  if (isLoss && ignore !== undefined) attributes.push(message([1, "ignore_index"], [3, ignore], [20, INT]));
  const rows = x.shape.filter((_, i) => i !== axis);
  const shape = isLoss ? (reduction === "none" ? rows : []) : x.shape;
  const node = message(...Object.keys(kinds).map((name) => [1, name]), [2, "value"], [4, OPERATORS[op]], ...attributes.map((a) => [5, a]));
  const inputs = Object.entries(kinds).map(([name, kind]) => [11, valueInfo(name, kind, problem[name].shape)]);
  const graph = message([1, node], [2, "g"], ...inputs, [12, valueInfo("value", problem.dtype, shape)]);
  return message([1, FORMAT], [7, graph], [8, message([1, ""], [2, OPSET])]);
}
