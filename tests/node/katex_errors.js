// SPDX-License-Identifier: BSD-3-Clause
// Renders formulas, [[TeX, display mode], …] as JSON on each line of standard input, and
// prints what KaTeX in its strict mode says of each, on a line: a message, or null.
const katex = require("katex");

const complaint = ([tex, displayMode]) => {
  try {
    katex.renderToString(tex, { displayMode, strict: "error", throwOnError: true });
    return null;
  } catch (error) {
    return String(error.message);
  }
};

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => console.log(JSON.stringify(JSON.parse(line).map(complaint))));
