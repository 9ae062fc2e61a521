// SPDX-License-Identifier: BSD-3-Clause
// Renders formulas, [[TeX, display mode], …] as JSON on standard input, and prints what
// KaTeX in its strict mode says of each: a message, or null.
const katex = require("katex");

const complaint = ([tex, displayMode]) => {
  try {
    katex.renderToString(tex, { displayMode, strict: "error", throwOnError: true });
    return null;
  } catch (error) {
    return String(error.message);
  }
};

const formulas = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(formulas.map(complaint)));
