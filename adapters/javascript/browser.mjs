// A browser without a window, for adapters whose devices are those of a page, and the packages that Node finds.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome"];
// SwiftShader stands in where there is no GPU. Variables: LOSSPROOF_CHROMIUM is the browser, LOSSPROOF_CHROMIUM_FLAGS
// are flags in the place of these.
const FLAGS = "--use-angle=swiftshader --enable-unsafe-swiftshader --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader --enable-features=Vulkan";
export const require = createRequire(join(process.cwd(), "_"));

/** The main file of a package; throws, and says to install all of `packages`, where there is none. */
export function find(name, packages) {
  try {
    return require.resolve(name);
  } catch {
    throw new Error(`${name} is not found from ${process.cwd()}: npm install --ignore-scripts ${packages}, and run there or set NODE_PATH to its node_modules`);
  }
}

/** The version of a package, from the package.json above its main file. */
export function versionOf(name) {
  let folder = dirname(require.resolve(name));
  while (!folder.endsWith(name)) folder = dirname(folder);
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
}

function browserPath() {
  const named = process.env.LOSSPROOF_CHROMIUM;
  if (named) return named;
  for (const name of BROWSERS) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      continue;
    }
  }
  throw new Error(`there is no ${BROWSERS.join(", ")} on PATH; name a browser in LOSSPROOF_CHROMIUM`);
}

/** Open an empty page, where `served` gives the path of a file by its name, or nothing. */
export async function openPage(packages, served = () => undefined) {
  const { chromium } = require(find("playwright-core", packages));
  const flags = (process.env.LOSSPROOF_CHROMIUM_FLAGS ?? FLAGS).split(" ").filter((flag) => flag);
  const browser = await chromium.launch({ executablePath: browserPath(), args: ["--no-sandbox", ...flags] });
  const page = await browser.newPage();
  page.on("crash", () => process.exit(70));
  // WebGPU is for secure contexts, which localhost is; nobody else serves it.
  await page.route("**/*", (route) => {
    const path = served(new URL(route.request().url()).pathname.slice(1));
    const contentType = path?.endsWith(".wasm") ? "application/wasm" : "text/javascript";
    return route.fulfill(path ? { path, contentType } : { contentType: "text/html", body: "<title>lossproof</title>" });
  });
  await page.goto("http://localhost/");
  return { page, browser: browser.version(), flags: flags.join(" ") };
}
