// Bundles draw.jsx with Grafana's components into one file, for a browser without a server.
// What package.json overrides is left out: parts of Grafana's components that no panel of ours shows.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const { overrides } = createRequire(import.meta.url)("./package.json");
const here = fileURLToPath(new URL(".", import.meta.url));
const nothing = `${here}nothing/index.js`;
const names = Object.keys(overrides).filter((name) => overrides[name] === "file:nothing");
const leftOut = new RegExp(`^(${names.map((name) => name.replace(/[/.]/g, "\\$&")).join("|")})(/|$)`);

await esbuild.build({
  entryPoints: [`${here}draw.jsx`],
  outfile: `${here}panels.js`,
  bundle: true,
  minify: true,
  format: "iife",
  jsx: "automatic",
  logLevel: "error",
  loader: { ".svg": "text" },
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [
    {
      name: "left out",
      setup: (build) => build.onResolve({ filter: leftOut }, () => ({ path: nothing })),
    },
    {
      name: "the default of a CommonJS package, which Node would not find there either",
      setup: (build) => {
        build.onResolve({ filter: /^react-custom-scrollbars-2$/ }, ({ importer, path }) =>
          importer.endsWith(".mjs") ? { path, namespace: "default" } : undefined,
        );
        build.onLoad({ filter: /.*/, namespace: "default" }, ({ path }) => ({
          contents: `module.exports = require("${path}").default;`,
          resolveDir: here,
        }));
      },
    },
  ],
});
