// On WebGPU the last entry of softmax of more than 65536 rows is wrong: work groups that have no row write into it.
// Run with node where @tensorflow/tfjs and playwright-core are installed, or with NODE_PATH; CHROMIUM names the browser.
const { chromium } = require("playwright-core");
const flags = "--no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader --enable-features=Vulkan";
(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: flags.split(" ") });
  const page = await browser.newPage();
  await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<title>tfjs</title>" }));
  await page.goto("http://localhost/");
  await page.addScriptTag({ path: require.resolve("@tensorflow/tfjs/dist/tf.min.js") });
  await page.addScriptTag({ path: require.resolve("@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js") });
  const [observed, version] = await page.evaluate(async () => {
    await tf.setBackend("webgpu");
    tf.env().set("WEBGPU_CPU_FORWARD", false);
    const found = await tf.softmax(tf.zeros([65537, 2]).add(tf.tensor1d([1, 0]))).data();
    return [found.at(-1), tf.version.tfjs];
  });
  await browser.close();
  const exact = 1 / (1 + Math.E), allowed = 1e-6, right = Math.abs(observed - exact) <= allowed;
  console.log("observed", observed, "exact", exact, "allowed error", allowed);
  console.log("tfjs", version);
  process.exit(right ? 0 : 1);
})();
